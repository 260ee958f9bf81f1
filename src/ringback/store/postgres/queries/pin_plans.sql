-- Until the end of the transaction, go by index, whatever the size of a table when the plan was made:
-- a partition begins empty, and its plans are kept while it grows. For the same reason queries say
-- OFFSET 0 where something is to be looked up row by row: else all of it may be read ahead.
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_material = off;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL jit = off
