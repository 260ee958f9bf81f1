-- PostgreSQL: a transfer begins.
INSERT INTO progress (name, value) VALUES ($1, $2)
