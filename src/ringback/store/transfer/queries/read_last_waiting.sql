-- SQLite: the highest number of a waiting row.
SELECT max(id) FROM waiting
