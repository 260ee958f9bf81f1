-- A walk begins, unless it began already.
INSERT INTO progress (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
