-- From now on the nodes whose lease ran out may not write; all but one may be meant.
SELECT fence_nodes($1)
