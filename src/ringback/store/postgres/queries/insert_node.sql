-- A process begins; its epoch is new for ever.
INSERT INTO node (id, host, until_ms) VALUES ($1, $2, $3) RETURNING epoch
