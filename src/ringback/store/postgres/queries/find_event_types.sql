-- Which of these event types an organization has.
SELECT name FROM event_type WHERE org_id = $1 AND name = ANY ($2::text[])
