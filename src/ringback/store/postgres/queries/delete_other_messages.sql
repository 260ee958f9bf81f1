-- Delete old messages that are outside of every partition, with their event ids and waiting rows; a
-- bounded number.
WITH old AS MATERIALIZED (
    SELECT app_id, id FROM message_other WHERE id < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
),
freed AS (DELETE FROM event_id WHERE message_id IN (SELECT id FROM old)),
dropped AS (DELETE FROM waiting WHERE msg_id IN (SELECT id FROM old))
DELETE FROM message_other USING old
WHERE message_other.app_id = old.app_id AND message_other.id = old.id
