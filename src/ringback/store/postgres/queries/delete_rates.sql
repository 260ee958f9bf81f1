-- Forget rates of which all sends that were taken are past; a bounded number.
DELETE FROM rate
WHERE id IN (
    SELECT id FROM rate WHERE next_us < server_us() - 60000000
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
