-- One node migrates, the others wait for it, also where there is no book yet. Reading goes on.
SELECT pg_advisory_xact_lock(1380535882, 0)
