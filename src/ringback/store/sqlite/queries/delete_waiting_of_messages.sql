-- Nothing of these messages will be sent any more.
DELETE FROM waiting WHERE msg_id IN (SELECT value FROM json_each(?))
