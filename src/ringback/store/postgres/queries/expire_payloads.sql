-- Delete the payloads of messages of a span of time, after one message and up to another, that have
-- no expiry of their own.
UPDATE message SET payload = NULL, raw_body = NULL
WHERE id >= $1 AND id < $2 AND (app_id, id) > ($3, $4) AND (app_id, id) <= ($5, $6)
  AND payload_expires_at_ms = 0 AND payload IS NOT NULL
