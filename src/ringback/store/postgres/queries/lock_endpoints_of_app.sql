-- Nobody else changes the endpoints of an application until the end of the transaction.
SELECT id FROM endpoint WHERE app_id = $1 AND NOT is_deleted ORDER BY id FOR UPDATE
