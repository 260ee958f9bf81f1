"""Clerk: Standard Webhooks through Svix, under `svix-` header names.

Documentation: https://clerk.com/docs/guides/development/webhooks/syncing. Sure
about the scheme, which is Svix's; Clerk publishes no vectors.
"""

from typing import Final

from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "clerk",
    "Clerk",
    documentation="https://clerk.com/docs/guides/development/webhooks/syncing",
    confidence="A",
    families=("svix", "webhook"),
)
