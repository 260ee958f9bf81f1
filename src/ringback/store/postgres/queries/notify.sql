-- Tell every node.
SELECT pg_notify('ringback', $1)
