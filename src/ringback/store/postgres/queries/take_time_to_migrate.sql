-- Until the end of the transaction a statement may run, and wait, for as long as it takes.
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)
