-- PostgreSQL: the transfer has come further, unless somebody else has moved the mark.
UPDATE progress SET value = $3 WHERE name = $1 AND value = $2
