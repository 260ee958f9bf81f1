-- SQLite: the rows of a table that come after a key.
SELECT /* key */, /* columns */ FROM /* table */ WHERE /* key */ > ? ORDER BY /* key */
