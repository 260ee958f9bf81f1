-- Remove an event type.
DELETE FROM event_type WHERE org_id = ? AND name = ?
