-- Forget what a receiver answered.
UPDATE attempt SET response = $3, response_headers = '' WHERE msg_id = $1 AND id = $2 RETURNING id
