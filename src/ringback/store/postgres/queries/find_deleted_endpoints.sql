-- The endpoints, of those given, that were deleted.
SELECT id FROM endpoint WHERE id = ANY ($1::text[]) AND is_deleted
