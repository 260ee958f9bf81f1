-- Delete the payload of a message.
UPDATE message SET payload = NULL, raw_body = NULL WHERE app_id = $1 AND id = $2
