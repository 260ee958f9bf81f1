-- PostgreSQL: a transfer that was begun is none, unless somebody has moved the mark.
DELETE FROM progress WHERE name = $1 AND value = $2
