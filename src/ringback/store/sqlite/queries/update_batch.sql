-- Write what is left of a batch.
UPDATE in_flight SET deliveries = ? WHERE batch_id = ?
