"""Clerk: Standard Webhooks through Svix, under `svix-` header names.

Documentation: https://clerk.com/docs/guides/development/webhooks/syncing. Sure: see `svix`.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "clerk",
    "Clerk",
    documentation="https://clerk.com/docs/guides/development/webhooks/syncing",
    families=("svix", "webhook"),
)
