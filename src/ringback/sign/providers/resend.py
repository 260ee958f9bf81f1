"""Resend: Standard Webhooks through Svix, under `svix-` header names.

Documentation: https://resend.com/docs/webhooks/verify-webhooks-requests. Sure: see `svix`.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "resend",
    "Resend",
    documentation="https://resend.com/docs/webhooks/verify-webhooks-requests",
    families=("svix", "webhook"),
)
