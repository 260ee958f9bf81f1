-- Move due rows into a new batch, the oldest of each lane first.
SELECT app_id, msg_id, endpoint_id, attempts_made, trigger, app_version
FROM claim_waiting($1, $2, $3, $4, $5, $6)
