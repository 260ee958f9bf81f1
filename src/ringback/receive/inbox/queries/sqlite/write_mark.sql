-- Keep a number about the inbox.
INSERT INTO ringback_inbox_schema (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
