-- Give a lease back.
UPDATE node SET is_gone = 1 WHERE epoch = ? AND id = ?
