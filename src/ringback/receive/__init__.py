"""The receiver kit: verify any provider's webhooks, keep them, process them exactly once.

    from ringback.receive import verify

    event = verify("stripe", headers, body, secrets=["whsec_…"], now_s=time.time())
    await inbox.receive(event)      # `ringback.receive.inbox` says how

Importing it loads no framework, no server and no database driver; each name is loaded on its use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ringback.errors import (
        InboxUnavailable,
        KeyNeeded,
        Malformed,
        Misconfigured,
        Mismatch,
        Missing,
        Stale,
        TryLater,
        Unprocessable,
        VerificationError,
    )
    from ringback.receive.documents import (
        AsyncFetch,
        Documents,
        Fetch,
        with_documents,
        with_documents_async,
    )
    from ringback.receive.inbox import (
        Inbox,
        InboxEvent,
        InboxSettings,
        Listed,
        SyncTransaction,
        Transaction,
    )
    from ringback.receive.verification import providers, respond, sign, verify
    from ringback.sign.event import VerifiedEvent
    from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
    from ringback.sign.layout import Pairs, Plain
    from ringback.sign.scheme import Draft, Field, Header, Part, Reply, Scheme, Signed
    from ringback.sign.secret_text import SecretText

__all__ = [
    "AsyncFetch",
    "Documents",
    "Draft",
    "Fetch",
    "Field",
    "Header",
    "Inbox",
    "InboxEvent",
    "InboxSettings",
    "InboxUnavailable",
    "KeyNeeded",
    "Listed",
    "Malformed",
    "Misconfigured",
    "Mismatch",
    "Missing",
    "Pairs",
    "Part",
    "Plain",
    "Reply",
    "Scheme",
    "SecretText",
    "Signed",
    "Stale",
    "SyncTransaction",
    "Timestamp",
    "Transaction",
    "TryLater",
    "Unprocessable",
    "VerificationError",
    "VerifiedEvent",
    "hmac_scheme",
    "providers",
    "respond",
    "sign",
    "verify",
    "with_documents",
    "with_documents_async",
]

_ROOMS: Final = {
    "ringback.errors": (
        "InboxUnavailable KeyNeeded Malformed Misconfigured Mismatch Missing Stale TryLater"
        " Unprocessable VerificationError"
    ),
    "ringback.receive.documents": (
        "AsyncFetch Documents Fetch with_documents with_documents_async"
    ),
    "ringback.receive.inbox": ("Inbox InboxEvent InboxSettings Listed SyncTransaction Transaction"),
    "ringback.receive.verification": "providers respond sign verify",
    "ringback.sign.event": "VerifiedEvent",
    "ringback.sign.hmac_scheme": "Timestamp hmac_scheme",
    "ringback.sign.layout": "Pairs Plain",
    "ringback.sign.scheme": "Draft Field Header Part Reply Scheme Signed",
    "ringback.sign.secret_text": "SecretText",
}
_HOME: Final = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
