-- A number that is kept about the inbox: the version of its tables, or a mark of the trial.
SELECT value FROM ringback_inbox_schema WHERE name = $1::text;
