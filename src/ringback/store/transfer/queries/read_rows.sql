-- SQLite: the rows of a table, in the order of a key.
SELECT /* key */, /* columns */ FROM /* table */ ORDER BY /* key */
