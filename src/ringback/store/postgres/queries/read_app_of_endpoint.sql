-- Whose an endpoint is, deleted or not.
SELECT app_id FROM endpoint WHERE id = $1
