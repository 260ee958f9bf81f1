-- Since when an endpoint has been failing.
UPDATE endpoint SET failing_since_ms = ? WHERE id = ?
