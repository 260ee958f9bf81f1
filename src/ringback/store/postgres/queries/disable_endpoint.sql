-- Disable an endpoint that did not change and, since an instant, had no success.
UPDATE endpoint SET is_disabled = true, version = version + 1, updated_at_ms = $3
WHERE id = $1 AND version = $2 AND NOT is_disabled AND NOT is_deleted
  AND NOT EXISTS (
      SELECT 1 FROM attempt WHERE endpoint_id = $1 AND id >= $4 AND status = 0
  )
RETURNING app_id
