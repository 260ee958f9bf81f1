-- Give a lease back. The others are told.
UPDATE node SET is_gone = true WHERE epoch = $1 AND id = $2
RETURNING pg_notify('ringback', '["members"]')
