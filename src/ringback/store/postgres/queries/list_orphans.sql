-- Batches of nodes that are gone, and of this node those it lost sight of.
SELECT epoch, batch_id, deliveries FROM in_flight
WHERE epoch IN (SELECT epoch FROM node WHERE is_gone)
   OR (epoch = $1 AND batch_id = ANY ($2::bigint[]))
ORDER BY epoch, batch_id
LIMIT $3
FOR UPDATE SKIP LOCKED
