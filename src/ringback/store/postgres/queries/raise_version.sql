-- An application, or one of its endpoints, changed. Nobody else changes them until the end of the
-- transaction.
UPDATE application SET version = version + 1 WHERE id = $1 AND NOT is_deleted RETURNING version
