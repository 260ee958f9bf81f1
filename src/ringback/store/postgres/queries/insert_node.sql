-- A process begins; its epoch is new for ever. The others are told.
INSERT INTO node (id, host, pid, role, version, joined_at_ms, until_ms)
VALUES ($1, $2, $3, $4, $5, server_ms(), server_ms() + $6)
RETURNING epoch, pg_notify('ringback', '["members"]')
