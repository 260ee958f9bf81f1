-- Write what is left of a batch.
UPDATE in_flight SET deliveries = $1 WHERE epoch = $2 AND batch_id = $3
