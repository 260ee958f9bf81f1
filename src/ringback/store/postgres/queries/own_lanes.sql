-- Until the end of the transaction nothing starts to wait in these lanes.
SELECT own_lanes($1::text[])
