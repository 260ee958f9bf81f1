-- Batches of nodes that are gone, and of this node those it lost sight of.
SELECT batch_id, deliveries FROM in_flight
WHERE epoch IN (SELECT epoch FROM node WHERE is_gone = 1)
   OR (epoch = ? AND batch_id IN (SELECT value FROM json_each(?)))
ORDER BY epoch, batch_id
LIMIT ?
