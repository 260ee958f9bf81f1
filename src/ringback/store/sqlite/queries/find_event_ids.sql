-- The messages that have one of the given (application, event id) pairs.
SELECT m.app_id, m.event_id, m.id
FROM json_each(?) AS wanted
CROSS JOIN message AS m
WHERE m.app_id = wanted.value ->> 0 AND m.event_id = wanted.value ->> 1 AND m.event_id <> ''
