-- Forget rates of which all sends that were taken are past; a bounded number.
DELETE FROM rate WHERE id IN (SELECT id FROM rate WHERE next_us < ? LIMIT ?)
