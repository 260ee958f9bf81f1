-- One process makes the tables; the others wait for it.
SELECT pg_advisory_xact_lock(hashtextextended('ringback_inbox_schema', 0));
