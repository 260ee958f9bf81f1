"""Coinbase Developer Platform: `X-Hook0-Signature`, as Coinbase sends through Hook0.

Dedupe by the signed `X-Event-Id`. What happened is `eventType` in the body. Coinbase Commerce signs
otherwise: see `coinbase_commerce`.

Documentation: https://docs.cdp.coinbase.com/webhooks/verify-signatures. Sure about the scheme,
which is Hook0's; Coinbase publishes no vectors.
"""

from typing import Final

from ringback.sign.providers import hook0
from ringback.sign.scheme import Field, Header

SCHEME: Final = hook0.scheme(
    "coinbase",
    "Coinbase",
    documentation="https://docs.cdp.coinbase.com/webhooks/verify-signatures",
    confidence="B",
    type=(Field("eventType"), Header("x-event-type")),
    vectors="local",
)
