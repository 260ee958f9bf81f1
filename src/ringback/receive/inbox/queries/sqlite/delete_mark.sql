-- Forget a number about the inbox.
DELETE FROM ringback_inbox_schema WHERE name = ?1;
