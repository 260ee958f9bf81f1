-- Until the end of the transaction, rather give up than hold up whoever comes after us: who waits for
-- a table to be free makes everybody else wait for it too.
SET LOCAL lock_timeout = '100ms'
