-- Forget nodes that are gone and left nothing behind.
DELETE FROM node
WHERE is_gone AND NOT EXISTS (SELECT 1 FROM in_flight WHERE in_flight.epoch = node.epoch)
