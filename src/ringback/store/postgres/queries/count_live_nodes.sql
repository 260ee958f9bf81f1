-- Nodes whose lease stands; asked of any version's schema.
SELECT count(*) FROM node
WHERE NOT is_gone AND until_ms > extract(epoch FROM clock_timestamp()) * 1000
