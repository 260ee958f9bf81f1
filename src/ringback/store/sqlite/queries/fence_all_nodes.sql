-- The database has a new owner: whoever wrote to it before is gone.
UPDATE node SET is_gone = 1 WHERE is_gone = 0
