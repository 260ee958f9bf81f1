-- Give a lease back.
UPDATE node SET is_gone = true WHERE epoch = $1 AND id = $2
