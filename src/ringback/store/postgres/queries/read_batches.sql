-- What batches of a node hold; nobody else changes them until the end of the transaction.
SELECT batch_id, deliveries FROM in_flight
WHERE epoch = $1 AND batch_id = ANY ($2::bigint[])
ORDER BY batch_id
FOR UPDATE
