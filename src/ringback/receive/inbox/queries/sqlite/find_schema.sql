-- Whether there are tables of an inbox.
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ringback_inbox_schema';
