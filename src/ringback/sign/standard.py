"""Standard Webhooks 1.0.0: the signature of a delivery and the three headers that carry it.

    signed content    {id}.{timestamp}.{body}
    v1,<base64>       HMAC-SHA256
    v1a,<base64>      Ed25519

Nothing else is signed: not the URL, not the method, not another header.

Ids and timestamps must be free of full stops, or the signed content can be read in two ways, and
free of line breaks, or they end the header. Nothing here checks that, because both are made by this
program (`Clock.new_id`, whole seconds) and never taken from a user.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from typing import Literal

from ringback.sign.hmac_key import HmacKey
from ringback.sign.secret import Key

HeaderFamily = Literal["webhook", "svix"]


def signature(keys: Sequence[Key], msg_id: str, *, timestamp_s: int, body: bytes) -> str:
    """One item a key, in the order of the keys, separated by spaces.

    `timestamp_s` is the instant of the attempt, not of the event, so every retry signs anew.
    """
    if len(keys) == 1:
        return sign(keys[0], msg_id, timestamp_s=timestamp_s, body=body)
    return " ".join([sign(key, msg_id, timestamp_s=timestamp_s, body=body) for key in keys])


def sign(key: Key, msg_id: str, *, timestamp_s: int, body: bytes) -> str:
    """`v1,…` for an HMAC key, `v1a,…` for an Ed25519 key."""
    raw = key.sign(f"{msg_id}.{timestamp_s}.".encode(), body)
    version = "v1" if isinstance(key, HmacKey) else "v1a"
    return f"{version},{b2a_base64(raw, newline=False).decode()}"


def headers(family: HeaderFamily, msg_id: str, *, timestamp_s: int, signature: str) -> bytes:
    """The id, timestamp and signature headers as wire bytes, each line with its CRLF."""
    return (
        f"{family}-id: {msg_id}\r\n"
        f"{family}-timestamp: {timestamp_s}\r\n"
        f"{family}-signature: {signature}\r\n"
    ).encode()


def identity_headers(family: HeaderFamily, msg_id: str, *, timestamp_s: int) -> bytes:
    """The same without a signature, for schemes that carry theirs elsewhere."""
    return f"{family}-id: {msg_id}\r\n{family}-timestamp: {timestamp_s}\r\n".encode()
