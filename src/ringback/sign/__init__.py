"""Signing: bytes in, bytes out. Pure functions of values, shared by sender and receiver."""
