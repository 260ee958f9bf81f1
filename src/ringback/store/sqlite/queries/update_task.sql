-- Write the progress of a task.
UPDATE task SET status = ?, cursor = ?, done_count = ?, updated_at_ms = ?
WHERE id = ? AND status = 'running'
