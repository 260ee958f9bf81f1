"""What tests of senders and receivers need: a receiver that misbehaves, a simulated world.

Nothing in the rest of the package imports this room.
"""
