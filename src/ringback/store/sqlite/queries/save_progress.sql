-- How far a walk has come now.
INSERT INTO progress (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
