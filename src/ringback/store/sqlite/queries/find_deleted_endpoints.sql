-- The endpoints, of those given, that were deleted.
SELECT id FROM endpoint WHERE id IN (SELECT value FROM json_each(?)) AND is_deleted = 1
