"""Webhooks for Python, whole: send them, see them, receive them, replay them."""

__version__ = "0.1.0"
