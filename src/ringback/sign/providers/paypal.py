"""PayPal: `PAYPAL-TRANSMISSION-SIG: <base64>`, by a certificate that PayPal publishes.

    RSA (PKCS #1 v1.5) with SHA-256 over {transmission id}|{time}|{webhook id}|{CRC-32 of the body}
    key    the certificate at PAYPAL-CERT-URL, which must be PayPal's own

The webhook's id is not in the request: it is what the receiver must know, and stands where others
have a secret. The CRC-32 is a decimal number without a sign. Dedupe by the body's `id`.

A CRC-32 protects against accidents and not against people: who has seen one request can make
another body with the same one. So the body counts as not covered, and what matters should be read
again through PayPal's API.

The window is that of the retries, three days: nothing says that each is signed anew.

Documentation: https://developer.paypal.com/api/rest/webhooks/rest/. Sure about the format, which is
that of PayPal's own sample code; PayPal publishes no vector that verifies.
"""

import re
from typing import Final
from zlib import crc32

from ringback.errors import KeyNeeded, Malformed, Mismatch
from ringback.sign.certificate import is_signed, self_signed
from ringback.sign.certificate import sign as rsa_signature
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import check_fresh, rfc3339, written
from ringback.sign.layout import decoded_base64, encoded
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import check_text

TOLERANCE_S: Final = 3 * 86_400
ALGORITHM: Final = "SHA256withRSA"
CERTIFICATE_URL: Final = re.compile(
    r"https://api(?:\.sandbox)?\.paypal\.com/v1/notifications/certs/[A-Za-z0-9_-]{1,100}", re.ASCII
)
SECRET: Final = "the webhook's id (Apps & Credentials → Webhooks), which is no secret"  # noqa: S105
TEST_URL: Final = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-test"


def check(request: Request, terms: Terms) -> Proof:
    signature = decoded_base64(request.header("paypal-transmission-sig"))
    if request.header("paypal-auth-algo") != ALGORITHM:
        raise Malformed(f"the header paypal-auth-algo is not {ALGORITHM}")
    url = request.header("paypal-cert-url")
    if not CERTIFICATE_URL.fullmatch(url):
        raise Malformed("the header paypal-cert-url is not a certificate of PayPal")
    transmission_id = request.visible("paypal-transmission-id")
    time_text = request.visible("paypal-transmission-time")
    timestamp_s = rfc3339(time_text)
    certificate = terms.documents.get(url)
    if certificate is None:
        raise KeyNeeded(url)
    contents = [
        _content(transmission_id, time_text, webhook_id, request.body)
        for webhook_id in terms.secrets
    ]
    good = [is_signed(certificate, signature, it, now_s=terms.now_s) for it in contents]
    if True not in good:
        raise Mismatch(
            "the signature does not fit: check that the webhook's id is this webhook's and that the"
            " body is the bytes as they were received; or the request is forged"
        )
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(good.index(True), timestamp_s)


def sign(draft: Draft, signing: str) -> Signed:
    """`signing` is the webhook's id, a line break and the PEM of an RSA key."""
    webhook_id, _, pem = signing.partition("\n")
    time_text = written(draft.timestamp_s, "rfc3339")
    content = _content("test-transmission", time_text, webhook_id, draft.body)
    fields = (
        *beside(draft, id=(), type=()),
        ("paypal-transmission-id", "test-transmission"),
        ("paypal-transmission-time", time_text),
        ("paypal-transmission-sig", encoded(rsa_signature(pem, content), "base64").decode()),
        ("paypal-cert-url", TEST_URL),
        ("paypal-auth-algo", ALGORITHM),
    )
    certificate = self_signed(pem, host="paypal.example", at_s=draft.timestamp_s)
    return Signed(draft.method, draft.url, fields, draft.body, {TEST_URL: certificate})


def _content(transmission_id: str, time_text: str, webhook_id: str, body: bytes) -> bytes:
    check_text(webhook_id, SECRET)
    return f"{transmission_id}|{time_text}|{webhook_id}|{crc32(body)}".encode(
        "utf-8", "surrogatepass"
    )


SCHEME: Final = Scheme(
    name="paypal",
    title="PayPal",
    documentation="https://developer.paypal.com/api/rest/webhooks/rest/",
    confidence="A",
    signature="PAYPAL-TRANSMISSION-SIG: … (RSA SHA-256 of id|time|webhook id|CRC-32 of the body)",
    secret=SECRET,
    vectors="local",
    check=check,
    sign=sign,
    tolerance_s=TOLERANCE_S,
    covers_body=False,
    id=(Field("id"),),
    type=(Field("event_type"),),
    caution="only a CRC-32 of the body is signed: who sees one request can forge another body",
)
