-- The messages that arrived after one, in order.
SELECT seq, created_at_ms FROM message WHERE seq > ? ORDER BY seq LIMIT ?
