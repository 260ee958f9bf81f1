-- How far a walk has come, for the one node that goes on with it now.
SELECT value FROM progress WHERE name = $1 FOR UPDATE SKIP LOCKED
