-- PostgreSQL: how far a transfer into this database has come.
SELECT value FROM progress WHERE name = $1
