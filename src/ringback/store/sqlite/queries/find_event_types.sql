-- Which of these event types an organization has.
SELECT name FROM event_type WHERE org_id = ? AND name IN (SELECT value FROM json_each(?))
