"""Several processes on one machine behind one port: a supervisor, and workers that it feeds.

             ┌──────────────── supervisor ────────────────┐
    clients ─┤ door: accepts, and hands each connection   │
             │ to the worker that has the fewest          │
             └──┬──────────────────┬──────────────────┬───┘
             worker 1           worker 2           worker 3        each a whole node of its own

Each worker has one socket pair with the supervisor. What comes over it is in `pair`; when it ends,
one of the two is gone, so no worker outlives its supervisor. Why connections are handed over rather
than accepted by the workers is measured in `docs/decisions/0022-workers.md`.
"""
