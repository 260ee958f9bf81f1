-- Record attempts with all that follows from them; false if they are recorded already.
SELECT record_attempts($1, $2, $3, $4, $5, $6, $7)
