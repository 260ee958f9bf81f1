-- Wait until nothing is being written under a lease; nothing is, until the end of the transaction.
SELECT pg_advisory_xact_lock(1380535879, $1::integer)
