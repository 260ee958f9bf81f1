-- Accept messages: one row for each that is refused, and why.
SELECT place, outcome, message_id
FROM accept_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
