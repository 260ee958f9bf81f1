-- When the next lane is due.
SELECT min(due_at_ms) FROM lane WHERE due_at_ms IS NOT NULL
