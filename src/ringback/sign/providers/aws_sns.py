"""AWS SNS: `Signature` in the JSON body, by a certificate that SNS publishes.

    RSA (PKCS #1 v1.5), with SHA-1 (`SignatureVersion` 1) or SHA-256 (2), base64, over lines of
    name and value: Message, MessageId, Subject (if any), Timestamp, TopicArn, Type
    or, for confirmations: Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn, Type
    key    the certificate at `SigningCertURL`, which must be SNS's own

Anybody can have SNS sign something, on a topic of their own. So the receiver says which topics are
its own, where others have a secret. `payload` has the signed fields and nothing else: message
attributes are not signed. Only `Message` may have line breaks, or fields could be divided anew.
Raw message delivery has no signature at all and is refused.

The window is an hour and a bit: a retry carries the time of publication, and tries end after one.

Handshake: a signed SubscriptionConfirmation, whose `SubscribeURL` must be fetched once; it is
checked to be SNS's own, for this topic.

Documentation: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. Sure
about the format; AWS publishes no vectors.
"""

import re
from typing import Any, Final
from urllib.parse import quote

from ringback.errors import KeyNeeded, Malformed, Mismatch, Missing
from ringback.sign.certificate import Hash, is_signed, self_signed
from ringback.sign.certificate import sign as rsa_signature
from ringback.sign.instant import check_fresh, rfc3339, written
from ringback.sign.layout import decoded_base64, encoded
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Reply, Scheme, Signed, Terms
from ringback.sign.secret_text import check_text
from ringback.sign.token import matching

TOLERANCE_S: Final = 3_600 + 300
SECRET: Final = "the ARN of the topic, arn:aws:sns:…, which is no secret"  # noqa: S105
HOST: Final = r"https://sns\.[a-z0-9-]{3,30}\.amazonaws\.com(?:\.cn)?"
CERTIFICATE_URL: Final = re.compile(HOST + r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
SUBSCRIBE_URL: Final = re.compile(
    HOST + r"/\?Action=ConfirmSubscription&TopicArn=([A-Za-z0-9:_.%-]{1,512})&Token=[0-9a-f]{1,512}"
)
MESSAGE_ID: Final = re.compile("[0-9A-Za-z-]{1,64}")
NOTIFICATION: Final = "Notification"
CONFIRMATION: Final = "SubscriptionConfirmation"
FIELDS: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
FIELDS["UnsubscribeConfirmation"] = FIELDS[CONFIRMATION]
HASHES: Final[dict[str, Hash]] = {"1": "sha1", "2": "sha256"}
TEST_URL: Final = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"


def check(request: Request, terms: Terms) -> Proof:
    body = json_of(request.body)
    if not isinstance(body, dict) or "Signature" not in body:
        raise Missing("the body has no Signature: not from SNS, or raw message delivery is on")
    fields = _signed_fields(body)
    signature = decoded_base64(_text(body, "Signature"))
    algorithm = HASHES.get(_text(body, "SignatureVersion"))
    url = _text(body, "SigningCertURL")
    if algorithm is None or not CERTIFICATE_URL.fullmatch(url):
        raise Malformed("the SignatureVersion is not known, or the certificate is not SNS's own")
    timestamp_s = rfc3339(fields["Timestamp"])
    found = matching(fields["TopicArn"], [_topic(secret) for secret in terms.secrets])
    certificate = terms.documents.get(url)
    if certificate is None:
        raise KeyNeeded(url)
    content = _content(fields)
    if not is_signed(certificate, signature, content, now_s=terms.now_s, algorithm=algorithm):
        raise Mismatch("the signature does not fit: the body was altered, or it is forged")
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, timestamp_s, fields["MessageId"], fields)


def respond(request: Request, terms: Terms) -> Reply | None:
    if f'"{CONFIRMATION}"'.encode() not in request.body:
        return None
    fields: dict[str, str] = check(request, terms).payload
    if fields["Type"] != CONFIRMATION:
        return None
    url = fields["SubscribeURL"]
    form = SUBSCRIBE_URL.fullmatch(url)
    if not form or form[1] not in (fields["TopicArn"], quote(fields["TopicArn"], safe="")):
        raise Malformed("the SubscribeURL does not confirm this topic at SNS")
    return Reply(fetch_url=url)


def sign(draft: Draft, signing: str) -> Signed:
    """`signing` is the topic's ARN, a line break and the PEM of an RSA key."""
    topic, _, pem = signing.partition("\n")
    fields = {
        "Type": NOTIFICATION,
        "MessageId": draft.id.replace("_", "-"),
        "TopicArn": topic,
        "Subject": draft.type,
        "Message": draft.body.decode(),
        "Timestamp": written(draft.timestamp_s, "rfc3339"),
    }
    return signed(draft, fields, pem)


def signed(draft: Draft, fields: dict[str, str], pem: str, *, version: str = "2") -> Signed:
    """A request with these fields, by a certificate that is made for it."""
    tag = rsa_signature(pem, _content(fields), algorithm=HASHES[version])
    proof = {
        "SignatureVersion": version,
        "Signature": encoded(tag, "base64").decode(),
        "SigningCertURL": TEST_URL,
    }
    certificate = self_signed(pem, host="sns.amazonaws.com", at_s=draft.timestamp_s)
    headers = (
        ("content-type", "text/plain; charset=UTF-8"),
        ("x-amz-sns-message-type", fields["Type"]),
    )
    body = as_json({**fields, **proof})
    return Signed(draft.method, draft.url, headers, body, {TEST_URL: certificate})


def _signed_fields(body: dict[str, Any]) -> dict[str, str]:
    kind = _text(body, "Type")
    if kind not in FIELDS:
        raise Malformed("the Type of the body is none of SNS's")
    names = [name for name in FIELDS[kind] if name != "Subject" or body.get(name) is not None]
    fields = {name: _text(body, name) for name in names}
    if any("\n" in text for name, text in fields.items() if name != "Message"):
        raise Malformed("a field of the body other than Message has a line break")
    if not MESSAGE_ID.fullmatch(fields["MessageId"]):
        raise Malformed("the MessageId is not an identifier")
    return fields


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str):
        raise Malformed(f"the {name} in the body is not text")
    return text


def _topic(secret: str) -> bytes:
    check_text(secret, SECRET)
    return secret.encode("utf-8", "surrogatepass")


def _content(fields: dict[str, str]) -> bytes:
    lines = [f"{name}\n{fields[name]}\n" for name in FIELDS[fields["Type"]] if name in fields]
    return "".join(lines).encode("utf-8", "surrogatepass")


SCHEME: Final = Scheme(
    name="aws_sns",
    title="AWS SNS",
    documentation="https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html",
    confidence="A",
    signature="Signature in the body (base64 RSA SHA-1 or SHA-256 of the fields)",
    secret=SECRET,
    vectors="local",
    check=check,
    sign=sign,
    respond=respond,
    tolerance_s=TOLERANCE_S,
    covers_body=False,
    type=(Field("Subject"), Field("Type")),
    caution="only the fields that `payload` has are signed; message attributes are not",
)
