-- An application, or one of its endpoints, changed.
UPDATE application SET version = version + 1 WHERE id = ?
