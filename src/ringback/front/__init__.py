"""The HTTP front: HTTP/1.1 in, ASGI calls out, on a listener of our own."""

from ringback.front.listener import IDLE_S, WRITE_S, Front

__all__ = ["IDLE_S", "WRITE_S", "Front"]
