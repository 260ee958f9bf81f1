-- One node migrates, the others wait for it. Reading goes on.
LOCK TABLE migration IN SHARE ROW EXCLUSIVE MODE
