-- SQLite: what changes whenever a service has run on this file.
SELECT
    (SELECT max(number) FROM migration),
    (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'node'),
    (SELECT coalesce(min(id), '') FROM application),
    (SELECT coalesce(max(seq), 0) FROM message),
    (SELECT coalesce(max(seq), 0) FROM attempt)
