-- Drop a partition with everything in it.
SELECT drop_partition($1)
