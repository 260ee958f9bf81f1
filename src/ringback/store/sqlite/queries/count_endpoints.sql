-- How many endpoints an application has.
SELECT count(*) FROM endpoint WHERE app_id = ? AND is_deleted = 0
