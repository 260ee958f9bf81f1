-- PostgreSQL: go on counting after a number.
SELECT setval(pg_get_serial_sequence($1, $2), $3)
