-- Numbers of deleted messages may be used again: no walk is further than the last message.
UPDATE progress SET value = min(value, (SELECT coalesce(max(seq), 0) FROM message))
WHERE name = ?
