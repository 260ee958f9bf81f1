-- The versions of applications.
SELECT id, version FROM application
WHERE id IN (SELECT value FROM json_each(?)) AND is_deleted = 0
