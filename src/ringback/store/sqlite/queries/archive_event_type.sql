-- Hide an event type from lists.
UPDATE event_type SET is_archived = 1, updated_at_ms = ? WHERE org_id = ? AND name = ?
