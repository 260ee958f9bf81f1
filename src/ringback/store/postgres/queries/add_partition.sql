-- Make a partition for a range of ids, unless there is one.
SELECT add_partition($1, $2, $3, $4, $5, $6)
