"""GitHub's format: `X-Hub-Signature-256: sha256=<hex>`.

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the whole secret text

The format holds one signature, so one secret signs: there is no rotation with both valid. It covers
neither id nor time, so a captured delivery can be replayed; receivers must dedupe.

Documentation: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
Sure: the page's own test values are in the test suite.
"""

from ringback.sign.secret import verbatim_key


def signature_header(secret: str, body: bytes) -> bytes:
    """The header as wire bytes with CRLF, signed with the current secret's text.

    Raises SecretError for an empty one.
    """
    return f"X-Hub-Signature-256: sha256={verbatim_key(secret).sign(body).hex()}\r\n".encode()
