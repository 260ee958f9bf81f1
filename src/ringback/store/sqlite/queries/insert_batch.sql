-- Write what a node has in flight.
INSERT INTO in_flight (batch_id, epoch, deliveries) VALUES (?, ?, ?)
