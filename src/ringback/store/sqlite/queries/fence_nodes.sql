-- From now on the nodes whose lease ran out may not write; all but one may be meant.
UPDATE node SET is_gone = 1 WHERE until_ms <= ? AND epoch <> ? AND is_gone = 0
