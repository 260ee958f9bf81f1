-- Forget batches of which every delivery is accounted for.
DELETE FROM in_flight
USING unnest($1::bigint[], $2::bigint[]) AS done (epoch, batch_id)
WHERE in_flight.epoch = done.epoch AND in_flight.batch_id = done.batch_id
