-- How far a walk has come.
SELECT value FROM progress WHERE name = ?
