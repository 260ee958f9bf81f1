-- From here on no lock is waited for longer than this.
SET LOCAL lock_timeout = '10s'
