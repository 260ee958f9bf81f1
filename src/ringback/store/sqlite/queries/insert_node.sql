-- A process begins; its epoch is new for ever.
INSERT INTO node (id, host, until_ms) VALUES (?, ?, ?) RETURNING epoch
