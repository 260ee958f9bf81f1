"""Standard Webhooks 1.0.0, by whoever sends it: v1 (`whsec_…`) and v1a (`whpk_…`).

Documentation: the specification. Sure: the vectors of the official libraries are in the test suite,
and what the official packages sign is accepted.
"""

from typing import Final

from ringback.sign.standard_scheme import DOCUMENTATION, standard_scheme

SCHEME: Final = standard_scheme(
    "standard",
    "Standard Webhooks",
    documentation=DOCUMENTATION,
    confidence="A",
    vectors="vendor",
    secret="the endpoint's signing secret, whsec_…, or the sender's public key, whpk_…",  # noqa: S106
)
