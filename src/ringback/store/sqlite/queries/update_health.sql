-- Since when endpoints have been failing.
UPDATE endpoint SET failing_since_ms = change.value ->> 1
FROM json_each(?) AS change
WHERE endpoint.id = change.value ->> 0
