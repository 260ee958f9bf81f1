-- Write deliveries that wait, and make their lanes due no later than they are.
SELECT put_waiting($1)
