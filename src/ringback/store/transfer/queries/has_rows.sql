-- PostgreSQL: does a table hold anything?
SELECT EXISTS (SELECT FROM /* table */)
