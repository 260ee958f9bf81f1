-- How many endpoints an application has.
SELECT count(*) FROM endpoint WHERE app_id = $1 AND NOT is_deleted
