-- Hold a lease until the end of the transaction; an error if it does not stand.
SELECT hold_lease($1, $2)
