"""Anthropic: Standard Webhooks. What happened is `data.type`; `type` is always `event`.

Documentation: https://platform.claude.com/docs/en/managed-agents/webhooks. Sure: the
official SDK accepts what is made here, in the test suite.
"""

from typing import Final

from ringback.sign.scheme import Field
from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "anthropic",
    "Anthropic",
    documentation="https://platform.claude.com/docs/en/managed-agents/webhooks",
    confidence="A",
    vectors="vendor",
    type=(Field("data.type"), Field("type")),
)
