"""Anthropic: Standard Webhooks. What happened is `data.type`; `type` is always `event`.

Documentation: https://platform.claude.com/docs/en/managed-agents/webhooks. Sure about the scheme,
which the official SDK verifies with the `standardwebhooks` package.
"""

from typing import Final

from ringback.sign.scheme import Field
from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "anthropic",
    "Anthropic",
    documentation="https://platform.claude.com/docs/en/managed-agents/webhooks",
    type=(Field("data.type"), Field("type")),
)
