-- The idempotency keys, of those given, that are known.
SELECT digest, expires_at_ms, message_id
FROM answer
WHERE digest IN (SELECT column1 FROM (VALUES /* rows */ (?)))
