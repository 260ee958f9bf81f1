-- What accepting depends on, as one row: does the lease stand, and the applications' versions.
SELECT
    EXISTS (SELECT 1 FROM node WHERE epoch = ? AND id = ? AND is_gone = 0),
    (
        SELECT json_group_object(id, version)
        FROM application
        WHERE id IN (SELECT value FROM json_each(?)) AND is_deleted = 0
    )
