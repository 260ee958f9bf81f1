-- Nodes that nobody has fenced, and for how long their lease still runs.
SELECT epoch, role, until_ms - ? FROM node WHERE is_gone = 0 ORDER BY epoch
