-- PostgreSQL: all rows of a table, in any order.
SELECT /* columns */ FROM /* table */
