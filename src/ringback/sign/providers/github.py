"""GitHub: `X-Hub-Signature-256: sha256=<hex>`.

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the whole secret text

The format holds one signature, so one secret signs: there is no rotation with both valid. It covers
neither id nor time, so a captured delivery can be replayed; receivers must dedupe. The older header
with SHA-1 is not looked at.

Documentation: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
Sure: the page's own test values are in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Header
from ringback.sign.secret import verbatim_key
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "github",
    "GitHub",
    documentation="https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries",
    confidence="A",
    layout=Plain("X-Hub-Signature-256", prefix="sha256="),
    secret=SecretText(
        "the webhook's own secret (Settings → Webhooks)",
        not_these=("ghp_", "gho_", "ghs_", "github_pat_"),
    ),
    id=(Header("x-github-delivery"),),
    type=(Header("x-github-event"),),
    may_be_form=True,
    vectors="vendor",
    caution="neither the id nor the time is signed",
)


def signature_header(secret: str, body: bytes) -> bytes:
    """The header as wire bytes with CRLF, signed with the current secret's text.

    Raises SecretError for an empty one.
    """
    return f"X-Hub-Signature-256: sha256={verbatim_key(secret).sign(body).hex()}\r\n".encode()
