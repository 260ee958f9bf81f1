"""The vendors' own packages and ours, on the same random requests.

    ours signs      → theirs accepts
    theirs signs    → ours accepts
    damaged         → what ours accepts, theirs accepts too: ours is never the laxer one

Bodies are JSON objects in random spelling, since some of the packages decode what they verify.
"""

import json
import time
import warnings
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import VerificationError
from ringback.receive import Draft, sign, verify

NOW_S = 1_735_689_600
URL = "https://shop.example/hooks?a=1"
SECRETS = {
    "stripe": "whsec_0123456789abcdef0123456789abcdef",
    "slack": "8f742231b10e8888abcd99yyyzzz85a5",
    "twilio": "0123456789abcdef0123456789abcdef",
    "razorpay": "a secret, with blanks and ü",
    "paddle": "pdl_ntfset_01hsdn8d43dt7mezr1ef2jtbaw_hKkRiCGyyRhbFwIUuqiTBgI7gnWoV0Gr",
    "standard": "whsec_" + b64encode(bytes(range(24))).decode(),
    "svix": "whsec_" + b64encode(bytes(range(32))).decode(),
    "braintree": "integration_public_key:integration_private_key",
}

values = st.dictionaries(
    st.text(max_size=8),
    st.one_of(st.text(max_size=30), st.integers(-(2**31), 2**31), st.none(), st.booleans()),
    max_size=5,
)
spellings = st.sampled_from(
    [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"sort_keys": True}]
)
bodies = st.builds(lambda value, how: json.dumps(value, **how).encode(), values, spellings)
few = settings(max_examples=60, deadline=None, derandomize=True)


def package(name: str) -> ModuleType:
    """A vendor's package; what it warns of when it is imported is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: ModuleType = pytest.importorskip(name)
    return found


class Case(NamedTuple):
    """A request, and the moment in which it was signed; the packages look at the clock."""

    headers: dict[str, str]
    body: bytes
    at_s: int
    url: str = URL


Verdict = Callable[[Case], bool]


def stripe_s(case: Case) -> bool:
    stripe = package("stripe")
    try:
        stripe.WebhookSignature.verify_header(
            case.body.decode(),
            case.headers["Stripe-Signature"],
            SECRETS["stripe"],
            tolerance=300,
        )
    except stripe.SignatureVerificationError:
        return False
    return True


def slack_s(case: Case) -> bool:
    verifier = package("slack_sdk.signature").SignatureVerifier(SECRETS["slack"])
    return bool(verifier.is_valid_request(case.body, case.headers))


def razorpay_s(case: Case) -> bool:
    razorpay, utility = package("razorpay"), package("razorpay.utility")
    try:
        utility.Utility().verify_webhook_signature(
            case.body.decode(), case.headers["X-Razorpay-Signature"], SECRETS["razorpay"]
        )
    except razorpay.errors.SignatureVerificationError:
        return False
    return True


def paddle_s(case: Case) -> bool:
    """Its verifier of a whole request looks at the clock, with a window of five seconds."""
    module = package("paddle_billing.Notifications.PaddleSignature")
    secret = package("paddle_billing.Notifications.Secret").Secret(SECRETS["paddle"])
    text = case.headers["Paddle-Signature"]
    try:
        return bool(module.PaddleSignature().verify(text, case.body.decode(), secret))
    except ValueError:
        return False


def standard_s(case: Case) -> bool:
    return _by_standard_library("standardwebhooks", SECRETS["standard"], case)


def svix_s(case: Case) -> bool:
    return _by_standard_library("svix.webhooks", SECRETS["svix"], case)


def _by_standard_library(module: str, secret: str, case: Case) -> bool:
    webhooks = package(module)
    try:
        webhooks.Webhook(secret).verify(case.body, case.headers)
    except webhooks.WebhookVerificationError:
        return False
    except ValueError:
        return True  # It fails over an item that is none before it sees a good one: no verdict.
    return True


def twilio_s(case: Case) -> bool:
    validator = package("twilio.request_validator").RequestValidator(SECRETS["twilio"])
    signature = case.headers["x-twilio-signature"]
    return bool(validator.validate(case.url, case.body.decode(), signature))


THEIRS: dict[str, Verdict] = {
    "stripe": stripe_s,
    "slack": slack_s,
    "razorpay": razorpay_s,
    "paddle": paddle_s,
    "standard": standard_s,
    "svix": svix_s,
    "twilio": twilio_s,
}


def made(provider: str, body: bytes) -> Case:
    at_s = int(time.time())
    draft = Draft(body=body, timestamp_s=at_s, url=URL, id="msg_1", type="t")
    request = sign(provider, draft, SECRETS[provider])
    return Case(dict(request.headers), body, at_s, request.url)


def ours(provider: str, case: Case) -> bool:
    secret, (headers, body, at_s, url) = SECRETS[provider], case
    try:
        verify(provider, headers, body, secrets=secret, now_s=at_s, url=url)
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("provider", THEIRS)
@few
@given(body=bodies)
def test_what_we_sign_their_package_accepts(provider: str, body: bytes) -> None:
    case = made(provider, body)

    assert THEIRS[provider](case)
    assert ours(provider, case)


@pytest.mark.parametrize("provider", THEIRS)
@few
@given(body=bodies, at=st.integers(0, 10**6), piece=st.binary(min_size=1, max_size=3))
def test_of_another_body_neither_accepts_the_signature(
    provider: str, body: bytes, at: int, piece: bytes
) -> None:
    at %= len(body) + 1
    altered = made(provider, body)._replace(body=body[:at] + piece + body[at:])

    assert not ours(provider, altered)
    try:
        altered.body.decode()
    except UnicodeDecodeError:
        return  # the packages that want text do not get this far
    assert not THEIRS[provider](altered)


damages = st.one_of(
    st.text(alphabet="0123456789abcdef=,;v1t sAZ+/", max_size=12),
    st.sampled_from(["!", "\t", ",v1=", ";h1=", " v1,", "==", "é", "+", "_"]),
)


@pytest.mark.parametrize("provider", THEIRS)
@settings(few, max_examples=200)
@given(which=st.integers(0, 9), at=st.integers(0, 200), cut=st.integers(0, 3), piece=damages)
def test_of_damaged_headers_we_accept_none_that_they_refuse(
    provider: str, which: int, at: int, cut: int, piece: str
) -> None:
    case = made(provider, b'{"id":"evt_1","type":"t"}')
    names = [name for name in case.headers if name != "content-type"]
    name = names[which % len(names)]
    text = case.headers[name]
    at %= len(text) + 1
    damaged = case._replace(headers={**case.headers, name: text[:at] + piece + text[at + cut :]})

    if ours(provider, damaged):
        assert THEIRS[provider](damaged)


SIGNS: dict[str, Callable[[bytes, int], dict[str, str]]] = {
    "stripe": lambda body, at_s: {
        "Stripe-Signature": f"t={at_s},v1="
        + package("stripe").WebhookSignature._compute_signature(
            f"{at_s}.{body.decode()}", SECRETS["stripe"]
        )
    },
    "slack": lambda body, at_s: {
        "X-Slack-Request-Timestamp": str(at_s),
        "X-Slack-Signature": package("slack_sdk.signature")
        .SignatureVerifier(SECRETS["slack"])
        .generate_signature(timestamp=str(at_s), body=body),
    },
    "paddle": lambda body, at_s: {
        "Paddle-Signature": f"ts={at_s};h1="
        + package("paddle_billing.Notifications.PaddleSignature")
        .PaddleSignature.calculate_hmac(SECRETS["paddle"], f"{at_s}:".encode() + body)
        .hexdigest()
    },
    "standard": lambda body, at_s: _standard_headers("webhook", "standardwebhooks", body, at_s),
    "svix": lambda body, at_s: _standard_headers("svix", "svix.webhooks", body, at_s),
}


def _standard_headers(family: str, module: str, body: bytes, at_s: int) -> dict[str, str]:
    webhook = package(module).Webhook(SECRETS["svix" if family == "svix" else "standard"])
    signature = webhook.sign("msg_1", datetime.fromtimestamp(at_s, UTC), body.decode())
    return {
        f"{family}-id": "msg_1",
        f"{family}-timestamp": str(at_s),
        f"{family}-signature": signature,
    }


@pytest.mark.parametrize("provider", SIGNS)
@few
@given(body=bodies)
def test_what_their_package_signs_we_accept(provider: str, body: bytes) -> None:
    case = Case(SIGNS[provider](body, NOW_S), body, NOW_S)

    assert ours(provider, case)
    assert not ours(provider, case._replace(body=body + b" "))


forms = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8),
    st.one_of(st.text(max_size=20), st.lists(st.text(max_size=9), min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


@few
@given(fields=forms, port=st.sampled_from(["", ":443", ":8443"]))
def test_twilio_s_package_and_ours_sign_forms_alike(
    fields: dict[str, str | list[str]], port: str
) -> None:
    url = f"https://shop.example{port}/hooks?a=1"
    body = urlencode(fields, doseq=True).encode()
    params = parse_qs(body.decode(), keep_blank_values=True)
    validator = package("twilio.request_validator").RequestValidator(SECRETS["twilio"])
    request = sign("twilio", Draft(body=body, timestamp_s=NOW_S, url=url), SECRETS["twilio"])
    theirs = validator.compute_signature(url, _Repeated(params))

    assert dict(request.headers)["x-twilio-signature"] == theirs
    assert validator.validate(url, _Repeated(params), theirs)
    case = Case({"x-twilio-signature": theirs}, body, NOW_S, url)
    assert ours("twilio", case)
    assert not ours("twilio", case._replace(body=body + b"&more=1"))


class _Repeated(dict[str, list[str]]):
    """A form's fields as Flask has them, which is what the package asks for."""

    def getall(self, name: str) -> list[str]:
        return self[name]


def gateway() -> Any:
    """Braintree's own client, which signs and reads without a connection."""
    braintree = package("braintree")
    public, _, private = SECRETS["braintree"].partition(":")
    return braintree.BraintreeGateway(
        braintree.Configuration(
            environment=braintree.Environment.Sandbox,
            merchant_id="m",
            public_key=public,
            private_key=private,
        )
    )


@settings(few, max_examples=20)
@given(name=st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=20))
def test_braintree_s_package_and_ours_read_what_the_other_signs(name: str) -> None:
    subject = f"<subject><check type='boolean'>true</check><n>{name}</n></subject>"
    xml = f"<notification><kind>check</kind>{subject}</notification>"
    request = sign("braintree", Draft(body=xml.encode(), timestamp_s=NOW_S), SECRETS["braintree"])
    form = {key: texts[0] for key, texts in parse_qs(request.body.decode()).items()}

    theirs = gateway().webhook_notification.parse(form["bt_signature"], form["bt_payload"])

    assert theirs.kind == "check"
    assert ours("braintree", Case({}, request.body, NOW_S))


def test_braintree_s_package_signs_what_we_accept() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package asks for the time in an old way
        sample: dict[str, Any] = gateway().webhook_testing.sample_notification(
            "subscription_went_past_due", "my_id"
        )

    event = verify(
        "braintree", {}, urlencode(sample).encode(), secrets=SECRETS["braintree"], now_s=NOW_S
    )

    assert event.type == "subscription_went_past_due"
    assert "my_id" in event.payload["xml"]
