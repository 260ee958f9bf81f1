-- Write what a node has in flight.
INSERT INTO in_flight (epoch, batch_id, deliveries) VALUES ($1, $2, $3)
