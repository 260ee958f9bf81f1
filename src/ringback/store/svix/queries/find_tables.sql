-- Which of the tables are missing.
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL
