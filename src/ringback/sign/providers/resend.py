"""Resend: Standard Webhooks through Svix, under `svix-` header names.

Documentation: https://resend.com/docs/webhooks/verify-webhooks-requests. Sure: the
official SDK accepts what is made here, in the test suite.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "resend",
    "Resend",
    documentation="https://resend.com/docs/webhooks/verify-webhooks-requests",
    confidence="A",
    vectors="vendor",
    families=("svix", "webhook"),
)
