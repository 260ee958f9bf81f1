-- Keep a number about the inbox.
INSERT INTO ringback_inbox_schema (name, value) VALUES ($1::text, $2::bigint)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
