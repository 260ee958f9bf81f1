-- Nobody else changes some endpoints until the end of the transaction.
SELECT id FROM endpoint WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE
