"""Bad inputs that belong to one provider each (group D), in one table.

Those of SNS, Plaid, Braintree, Hook0 and HubSpot's URLs have files of their own, with many more;
here is at least one of every number, so that the list can be seen to be whole.
"""

import json
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from zlib import crc32

import pytest
from msgspec import structs

from ringback.errors import (
    Malformed,
    Misconfigured,
    Mismatch,
    Missing,
    Stale,
    VerificationError,
)
from ringback.receive import Draft, Reply, Signed, VerifiedEvent, respond, sign, verify
from ringback.sign.event import enveloped
from ringback.sign.providers import aws_sns, scheme
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
URL = "https://shop.example/hooks?a=1"
FORM = b"CallSid=CA1&Digits=1234&Digits=5678"


def good(provider: str, body: bytes | None = None, **changes: Any) -> Signed:
    draft = Draft(body=b"", timestamp_s=NOW_S, url=URL, **changes)
    found = scheme(provider)
    body = enveloped(found, draft, {"amount": 1999}) if body is None else body
    return sign(found, structs.replace(draft, body=body), key_pair(found, 1).signing)


def arguments_of(provider: str, request: Signed, **changes: Any) -> dict[str, Any]:
    return {
        "provider": provider,
        "headers": dict(request.headers),
        "body": request.body,
        "secrets": key_pair(scheme(provider), 1).verifying,
        "now_s": NOW_S,
        "url": request.url,
        "method": request.method,
        "documents": request.documents,
        **changes,
    }


def altered(provider: str, name: str, change: Callable[[str], str], **more: Any) -> dict[str, Any]:
    """A good request with one header changed."""
    request = good(provider)
    headers = dict(request.headers)
    return arguments_of(provider, request, headers={**headers, name: change(headers[name])}, **more)


def in_body(provider: str, change: Callable[[Any], None], **more: Any) -> dict[str, Any]:
    """A good request with its JSON changed."""
    request = good(provider)
    payload = json.loads(request.body)
    change(payload)
    return arguments_of(provider, request, body=json.dumps(payload).encode(), **more)


def item_of(payload: Any) -> Any:
    return payload["notificationItems"][0]["NotificationRequestItem"]


def without_data(payload: Any) -> None:
    del item_of(payload)["additionalData"]


def second_item(payload: Any) -> None:
    payload["notificationItems"].append(json.loads(json.dumps(payload["notificationItems"][0])))
    payload["notificationItems"][1]["NotificationRequestItem"]["pspReference"] = "forged"


def amount_as_text(payload: Any) -> None:
    item_of(payload)["amount"]["value"] = "1001"


def wrong_state(payload: Any) -> None:
    payload["value"].append({**payload["value"][0], "clientState": "forged"})


def json_of_twilio(url: str, body: bytes = b'{"a":1}') -> dict[str, Any]:
    request = good("twilio", b'{"a":1}')
    return arguments_of("twilio", request, body=body, url=url or request.url)


def certified_at(url: str) -> dict[str, Any]:
    return altered("paypal", "paypal-cert-url", lambda _: url, documents={})


def xero_of(body: bytes) -> dict[str, Any]:
    return arguments_of("xero", good("xero"), body=body)


STRIPE, TWILIO = "Stripe-Signature", "x-twilio-signature"
EVIL_CERTIFICATES = [
    "https://api.paypal.com.evil.com/v1/notifications/certs/CERT-1",
    "https://evil.com/?paypal.com/v1/notifications/certs/CERT-1",
    "http://api.paypal.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com@evil.com/v1/notifications/certs/CERT-1",
    "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
    "https://api.paypal.com/v1/notifications/certs/../x",
]

Case = tuple[Callable[[], dict[str, Any]], type[VerificationError]]
CASES: dict[str, Case] = {
    "79 Stripe, only v0": (
        lambda: altered("stripe", STRIPE, lambda text: text.replace("v1=", "v0=")),
        Malformed,
    ),
    "80 Stripe, two times": (
        lambda: altered("stripe", STRIPE, lambda text: f"{text},t={NOW_S}"),
        Malformed,
    ),
    "82 Stripe, spaces behind commas": (
        lambda: altered("stripe", STRIPE, lambda text: text.replace(",", ", ")),
        Malformed,
    ),
    "83 Stripe, a day ahead": (
        lambda: arguments_of("stripe", good("stripe"), now_s=NOW_S - 86_400),
        Stale,
    ),
    "84 GitHub, only SHA-1": (
        lambda: arguments_of(
            "github", good("github"), headers={"X-Hub-Signature": "sha1=" + "0" * 40}
        ),
        Missing,
    ),
    "85 GitHub, upper-case hex": (
        lambda: altered(
            "github", "X-Hub-Signature-256", lambda text: "sha256=" + text.partition("=")[2].upper()
        ),
        Malformed,
    ),
    "86 Slack, an old time with a fresh retry": (
        lambda: arguments_of(
            "slack",
            good("slack"),
            now_s=NOW_S + 301,
            headers={**dict(good("slack").headers), "x-slack-retry-num": "1"},
        ),
        Stale,
    ),
    "87 Twilio, JSON without its digest": (
        lambda: json_of_twilio(URL),
        Mismatch,
    ),
    "87 Twilio, the digest of another body": (
        lambda: json_of_twilio("", b'{"a":2}'),
        Mismatch,
    ),
    "87 Twilio, a digest of one's own": (
        lambda: json_of_twilio(f"{URL}&bodySHA256={sha256(b'{}').hexdigest()}", b"{}"),
        Mismatch,
    ),
    "87 Twilio, a header that claims SHA-256": (
        lambda: {
            **altered("twilio", TWILIO, lambda text: "A" * 43 + "="),
            "headers": {
                TWILIO: "A" * 43 + "=",
                "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256",
            },
        },
        Malformed,
    ),
    "87 Twilio, another host": (
        lambda: arguments_of("twilio", good("twilio", FORM), url=URL.replace("shop", "evil")),
        Mismatch,
    ),
    "87 Twilio, without the URL": (
        lambda: arguments_of("twilio", good("twilio", FORM), url=None),
        Misconfigured,
    ),
    **{f"88 PayPal, {url}": (partial(certified_at, url), Malformed) for url in EVIL_CERTIFICATES},
    "88 PayPal, another algorithm": (
        lambda: altered("paypal", "paypal-auth-algo", lambda _: "SHA1withRSA"),
        Malformed,
    ),
    "88 PayPal, another webhook": (
        lambda: arguments_of("paypal", good("paypal"), secrets="WH-OTHER"),
        Mismatch,
    ),
    "89 SNS, an empty subject": (
        lambda: in_body("aws_sns", lambda payload: payload.update(Subject="")),
        Mismatch,
    ),
    "89 SNS, raw delivery": (
        lambda: arguments_of("aws_sns", good("aws_sns"), body=b'{"order":1}'),
        Missing,
    ),
    "90 Plaid, no token": (
        lambda: arguments_of("plaid", good("plaid"), headers={}),
        Missing,
    ),
    "90 Plaid, from the future": (
        lambda: arguments_of("plaid", good("plaid"), now_s=NOW_S - 301),
        Stale,
    ),
    "90 Plaid, another body": (
        lambda: arguments_of("plaid", good("plaid"), body=b"{}"),
        Mismatch,
    ),
    "91 Adyen, without additionalData": (lambda: in_body("adyen", without_data), Missing),
    "91 Adyen, only the first of two is signed": (lambda: in_body("adyen", second_item), Mismatch),
    "91 Adyen, another amount, as text": (lambda: in_body("adyen", amount_as_text), Mismatch),
    "91 Adyen, a key that is not hexadecimal": (
        lambda: arguments_of("adyen", good("adyen"), secrets="not hexadecimal"),
        Misconfigured,
    ),
    "92 Braintree, an illegal character": (
        lambda: arguments_of(
            "braintree",
            good("braintree"),
            body=good("braintree").body.replace(b"bt_payload=", b"bt_payload=!"),
        ),
        Malformed,
    ),
    "93 Mailgun, a stamp of yesterday": (
        lambda: arguments_of("mailgun", good("mailgun"), now_s=NOW_S + 86_401),
        Stale,
    ),
    "96 Graph, one of two with a wrong state": (
        lambda: in_body("microsoft_graph", wrong_state),
        Mismatch,
    ),
    "97 Discord, a bad signature": (
        lambda: altered("discord", "x-signature-ed25519", lambda text: "0" * 128),
        Mismatch,
    ),
    "97 Discord, another time": (
        lambda: altered("discord", "x-signature-timestamp", lambda text: str(NOW_S + 1)),
        Mismatch,
    ),
    "99 Xero, a wrong signature": (lambda: xero_of(b'{"events":[]}'), Mismatch),
    "100 HubSpot, http for https": (
        lambda: arguments_of("hubspot", good("hubspot"), url=URL.replace("https", "http")),
        Mismatch,
    ),
    "100 HubSpot, another query": (
        lambda: arguments_of("hubspot", good("hubspot"), url=URL.replace("a=1", "a=2")),
        Mismatch,
    ),
    "101 DocuSign, a header that is not numbered": (
        lambda: arguments_of(
            "docusign",
            good("docusign"),
            headers={
                "X-DocuSign-Signature": dict(good("docusign").headers)["X-DocuSign-Signature-1"]
            },
        ),
        Missing,
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_the_bad_input_is_refused_for_what_it_is(what: str) -> None:
    make, error = CASES[what]
    arguments = make()

    with pytest.raises(error) as caught:
        verify(**arguments)
    assert caught.value.status in (401, 500)
    assert caught.value.status == (500 if error is Misconfigured else 401)


def received(arguments: dict[str, Any]) -> VerifiedEvent:
    return verify(**arguments)


GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    "81 Stripe, the time behind the signature": lambda: altered(
        "stripe", STRIPE, lambda text: ",".join(reversed(text.split(",")))
    ),
    "86 Slack, a retry": lambda: {
        **arguments_of("slack", good("slack")),
        "headers": {**dict(good("slack").headers), "x-slack-retry-num": "1"},
    },
    "87 Twilio, with port 443": lambda: arguments_of(
        "twilio", good("twilio", FORM), url=URL.replace(".example", ".example:443")
    ),
    "87 Twilio, reordered": lambda: arguments_of(
        "twilio", good("twilio", FORM), body=b"&".join(reversed(FORM.split(b"&")))
    ),
    "87 Twilio, repeated": lambda: arguments_of(
        "twilio", good("twilio", FORM), body=FORM + b"&Digits=1234"
    ),
    "91 Adyen, a key in lower case": lambda: arguments_of(
        "adyen", good("adyen"), secrets=key_pair(scheme("adyen"), 1).verifying.lower()
    ),
    "91 Adyen, the same amount as text": lambda: in_body(
        "adyen", lambda payload: item_of(payload)["amount"].update(value="1000")
    ),
    "101 DocuSign, only the third fits": lambda: arguments_of(
        "docusign",
        good("docusign"),
        headers={
            "X-DocuSign-Signature-1": "A" * 43 + "=",
            "X-DocuSign-Signature-3": dict(good("docusign").headers)["X-DocuSign-Signature-1"],
        },
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_only_looks_bad_is_accepted(what: str) -> None:
    assert received(GOOD[what]()).id


def test_mailgun_s_stamp_keeps_its_id_whatever_is_behind_it() -> None:
    """93: whoever puts another body behind a stamp makes a duplicate, not an event."""
    first = received(arguments_of("mailgun", good("mailgun")))
    forged = received(
        in_body("mailgun", lambda payload: payload["event-data"].update(id="x", event="opened"))
    )

    assert forged.payload != first.payload
    assert forged.id == first.id


def test_svix_and_webhook_headers_that_differ_are_not_mixed() -> None:
    """102: the names that are looked at first decide, even if the others are good."""
    svix, other = good("svix"), good("standard")
    both = {**dict(svix.headers), **dict(other.headers)}
    arguments = arguments_of("svix", svix, headers=both)

    assert received(arguments).id == dict(svix.headers)["svix-id"]
    bad = {**both, "svix-signature": "v1," + "A" * 43 + "="}
    with pytest.raises(Mismatch):
        received({**arguments, "headers": bad})


def test_paypal_s_checksum_has_no_sign() -> None:
    """88: the CRC-32 of this body has its highest bit set."""
    body = next(
        text
        for number in range(64)
        if crc32(text := json.dumps({"id": f"WH-{number}"}).encode()) >= 2**31
    )

    assert received(arguments_of("paypal", good("paypal", body))).payload == json.loads(body)


def asked(provider: str, **changes: Any) -> Reply | None:
    arguments = {
        "headers": {},
        "body": b"",
        "secrets": key_pair(scheme(provider), 1).verifying,
        "now_s": NOW_S,
        "url": URL,
        **changes,
    }
    return respond(provider, **arguments)


HTML = quote("<script>alert(1)</script>")
HANDSHAKES: dict[str, Case] = {
    "89 SNS, a subscription at another host": (
        lambda: {
            "provider": "aws_sns",
            "body": json.dumps(
                {"Type": aws_sns.CONFIRMATION, "SubscribeURL": "http://10.0.0.1/", "Signature": "A"}
            ).encode(),
        },
        Malformed,
    ),
    "94 Zoom, unsigned": (
        lambda: {
            "provider": "zoom",
            "body": b'{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}',
        },
        Missing,
    ),
    "95 Meta, a wrong token": (
        lambda: {
            "provider": "meta",
            "method": "GET",
            "url": f"{URL}&hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong",
        },
        Mismatch,
    ),
    "95 Meta, to unsubscribe": (
        lambda: {"provider": "meta", "method": "GET", "url": f"{URL}&hub.mode=unsubscribe"},
        Malformed,
    ),
    "96 Graph, HTML": (
        lambda: {"provider": "microsoft_graph", "url": f"{URL}&validationToken={HTML}"},
        Malformed,
    ),
    "97 Discord, a ping with a bad signature": (
        lambda: {
            "provider": "discord",
            "body": b'{"type":1}',
            "headers": {"x-signature-ed25519": "0" * 128, "x-signature-timestamp": str(NOW_S)},
        },
        Mismatch,
    ),
    "97 Discord, a ping without a signature": (
        lambda: {"provider": "discord", "body": b'{"type":1}'},
        Missing,
    ),
}


@pytest.mark.parametrize("what", HANDSHAKES)
def test_the_bad_handshake_is_refused_for_what_it_is(what: str) -> None:
    make, error = HANDSHAKES[what]

    arguments = make()

    with pytest.raises(error) as caught:
        asked(**arguments)
    assert caught.value.status == 401


def test_a_get_of_okta_s_without_its_header_is_no_handshake() -> None:
    """98: and no event either."""
    assert asked("okta", method="GET") is None
    with pytest.raises(Missing):
        received(arguments_of("okta", good("okta"), headers={}, method="GET"))
