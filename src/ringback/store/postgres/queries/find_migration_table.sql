-- Is there a book of migrations?
SELECT to_regclass('migration') IS NOT NULL
