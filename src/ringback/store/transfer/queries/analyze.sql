-- PostgreSQL: let the planner know what is there now.
ANALYZE /* table */
