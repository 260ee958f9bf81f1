-- Disable an endpoint that did not change and, since an instant, had no success.
UPDATE endpoint SET is_disabled = 1, version = version + 1, updated_at_ms = :at_ms
WHERE id = :endpoint_id AND version = :version AND is_disabled = 0 AND is_deleted = 0
  AND NOT EXISTS (
      SELECT 1 FROM attempt
      WHERE endpoint_id = :endpoint_id AND id >= :since_id AND status = 0
  )
RETURNING app_id
