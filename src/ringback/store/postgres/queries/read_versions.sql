-- The versions of applications.
SELECT id, version FROM application WHERE id = ANY ($1::text[]) AND NOT is_deleted
