-- Nobody else changes the applications of some endpoints until the end of the transaction.
SELECT id FROM application
WHERE id IN (SELECT app_id FROM endpoint WHERE id = ANY ($1::text[]))
ORDER BY id
FOR UPDATE
