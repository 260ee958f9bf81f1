-- Forget what a receiver answered.
UPDATE attempt INDEXED BY attempt_by_message SET response = ?, response_headers = ''
WHERE msg_id = ? AND id = ?
