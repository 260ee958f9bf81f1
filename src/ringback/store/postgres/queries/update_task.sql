-- Write the progress of a task.
UPDATE task SET status = $1, cursor = $2, done_count = $3, updated_at_ms = $4
WHERE id = $5 AND status = 'running'
