-- Prolong a lease that stands.
UPDATE node SET until_ms = ?, skew_ms = ? WHERE epoch = ? AND id = ? AND is_gone = 0
