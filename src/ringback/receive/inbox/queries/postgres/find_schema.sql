-- Whether there are tables of an inbox.
SELECT 1 WHERE to_regclass('ringback_inbox_schema') IS NOT NULL;
