"""Shared tokens, sent as they are: they prove who knows the token and nothing about the body.

Whoever sees one request can make others, so TLS is the only protection; see `Scheme.covers_body`.
"""

from collections.abc import Sequence
from hmac import compare_digest

from ringback.errors import Mismatch
from ringback.sign.secret_text import SecretText


def matching(given: str, secrets: Sequence[str], kind: SecretText) -> int:
    """The index of the secret that was sent, found in constant time for each.

    Raises Mismatch if it is none of them, SecretError for a text that cannot be one.
    """
    found = -1
    presented = given.encode("utf-8", "surrogatepass")
    for index, secret in enumerate(secrets):
        if compare_digest(presented, kind.raw(secret)) and found < 0:
            found = index
    if found < 0:
        raise Mismatch("the token is none of the secrets: another endpoint's, or a forged request")
    return found
