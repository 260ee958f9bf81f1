-- Forget batches of which every delivery is accounted for.
DELETE FROM in_flight WHERE batch_id IN (SELECT value FROM json_each(?))
