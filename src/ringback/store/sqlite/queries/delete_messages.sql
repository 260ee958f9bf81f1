-- Delete those of the messages that arrived first that are old.
DELETE FROM message
WHERE seq IN (SELECT seq FROM message ORDER BY seq LIMIT ?) AND created_at_ms < ?
RETURNING id
