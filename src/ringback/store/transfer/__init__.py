"""Moving everything that one SQLite file holds into an empty PostgreSQL database.

    source     the file: owned while it is read, and left as it is
    target     the database, and in it how far the transfer has come
    tables     what is moved, column by column
    secrets    endpoint secrets, which stay sealed and must open
    walk       batch by batch, and again from where it was cut off
    verify     both sides read once more, and compared

Ids, order and due times stay. Invariant: rows and the note of how far the transfer has come are one
transaction, so a transfer that is killed at any moment goes on without a gap and without a repeat.
"""
