-- Endpoints with a sealed secret, of the oldest ones.
SELECT app_id, id, secrets
FROM (SELECT app_id, id, secrets FROM endpoint WHERE NOT is_deleted ORDER BY id LIMIT 10000) AS oldest
WHERE secrets LIKE '%"sealed%'
ORDER BY id
LIMIT $1
