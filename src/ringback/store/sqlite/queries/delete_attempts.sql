-- Delete those of the attempts that were recorded first that are old.
DELETE FROM attempt
WHERE seq IN (SELECT seq FROM attempt ORDER BY seq LIMIT ?) AND started_at_ms < ?
