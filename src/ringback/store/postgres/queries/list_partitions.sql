-- The partitions of a table, the oldest first.
SELECT name, low_ms, high_ms FROM partition WHERE parent = $1 ORDER BY low_ms
