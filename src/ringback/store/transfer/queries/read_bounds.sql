-- SQLite: the first and the last id of a table.
SELECT min(id), max(id) FROM /* table */
