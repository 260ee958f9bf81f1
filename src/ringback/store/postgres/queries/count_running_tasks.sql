-- How many tasks of an application run.
SELECT count(*) FROM task WHERE app_id = $1 AND status = 'running'
