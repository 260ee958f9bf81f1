-- Whether an application or an endpoint has an id, or had it.
SELECT EXISTS (SELECT 1 FROM application WHERE id = $1)
    OR EXISTS (SELECT 1 FROM endpoint WHERE id = $1)
