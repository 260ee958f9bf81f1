"""Svix, and the many who send through it: Standard Webhooks under `svix-` header names.

Some of its customers have it send the `webhook-` names: they are read where the others are absent.

Documentation: https://docs.svix.com/receiving/verifying-payloads/how-manual. Sure: what the
official package signs is accepted in the test suite.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "svix",
    "Svix",
    documentation="https://docs.svix.com/receiving/verifying-payloads/how-manual",
    confidence="A",
    vectors="vendor",
    families=("svix", "webhook"),
)
