-- How many tasks of an application run.
SELECT count(*) FROM task WHERE app_id = ? AND status = 'running'
