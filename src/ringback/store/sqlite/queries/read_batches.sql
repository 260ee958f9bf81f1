-- What batches hold.
SELECT batch_id, deliveries FROM in_flight WHERE batch_id IN (SELECT value FROM json_each(?))
