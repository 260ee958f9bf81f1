-- A process begins; its epoch is new for ever.
INSERT INTO node (id, host, pid, role, version, joined_at_ms, until_ms)
VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING epoch
