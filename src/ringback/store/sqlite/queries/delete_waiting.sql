-- Take waiting rows away.
DELETE FROM waiting WHERE id IN (SELECT value FROM json_each(?))
