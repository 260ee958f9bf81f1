"""What a self-hosted Svix server keeps in its PostgreSQL database, and moving it into a store.

    rows       its rows as our nouns: applications, endpoints, event types
    secrets    its signing keys, sealed or not, as the texts that receivers know
    source     reading, at one instant
    walk       check everything, then write, then compare

Facts about its tables are those of its migrations up to February 2026. Ids stay, so that nobody who
calls or is called notices. Messages are not moved: their payloads were delivered or are in a queue
that is not in this database.
"""
