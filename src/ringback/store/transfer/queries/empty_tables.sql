-- PostgreSQL: undo a transfer that has not ended.
TRUNCATE /* table */
