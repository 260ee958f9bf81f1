-- How far a walk has come now.
UPDATE progress SET value = $2 WHERE name = $1
