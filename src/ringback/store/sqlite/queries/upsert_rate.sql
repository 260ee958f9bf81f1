-- Sends were taken from a rate.
INSERT INTO rate (id, next_us) VALUES (?, ?)
ON CONFLICT (id) DO UPDATE SET next_us = excluded.next_us
