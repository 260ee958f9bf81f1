-- Batches of nodes that are gone.
SELECT in_flight.batch_id, in_flight.deliveries
FROM node
CROSS JOIN in_flight ON in_flight.epoch = node.epoch
WHERE node.is_gone = 1
ORDER BY node.epoch, in_flight.batch_id
LIMIT ?
