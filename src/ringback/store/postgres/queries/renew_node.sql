-- Prolong a lease that stands.
UPDATE node SET until_ms = $1 WHERE epoch = $2 AND id = $3 AND NOT is_gone RETURNING epoch
