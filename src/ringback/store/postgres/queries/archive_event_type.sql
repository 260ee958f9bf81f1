-- Hide an event type from lists.
UPDATE event_type SET is_archived = true, updated_at_ms = $1 WHERE org_id = $2 AND name = $3
RETURNING name
