"""Provider formats: what the providers' own software and documentation accept."""

import hashlib
import hmac
import json
import time

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import SecretError
from ringback.sign.providers import github
from ringback.sign.providers import stripe as stripe_format

CURRENT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
EVENT = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "amount": 1999}},
    }
).encode()


def value(wire: bytes, name: str) -> str:
    text = wire.decode("ascii")
    assert text.startswith(name + ": ")
    assert text.endswith("\r\n")
    assert text.count("\r\n") == 1
    return text.removeprefix(name + ": ").removesuffix("\r\n")


@pytest.mark.parametrize("receivers_secret", [CURRENT, OLD])
def test_stripe_s_own_package_accepts_our_header_during_a_rotation(receivers_secret: str) -> None:
    wire = stripe_format.signature_header([CURRENT, OLD], timestamp_s=int(time.time()), body=EVENT)

    event = stripe.Webhook.construct_event(EVENT, value(wire, "Stripe-Signature"), receivers_secret)

    assert event.id == "evt_1"
    assert event.data.object["amount"] == 1999


def test_stripe_s_own_package_refuses_our_header_on_another_body_and_secret() -> None:
    wire = stripe_format.signature_header([CURRENT], timestamp_s=int(time.time()), body=EVENT)
    header = value(wire, "Stripe-Signature")

    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(EVENT + b" ", header, CURRENT)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(EVENT, header, OLD)


@given(body=st.binary(max_size=300), timestamp_s=st.integers(min_value=0, max_value=2**40))
def test_stripe_s_header_holds_one_v1_for_each_secret_in_order(
    body: bytes, timestamp_s: int
) -> None:
    wire = stripe_format.signature_header([CURRENT, OLD], timestamp_s=timestamp_s, body=body)

    content = f"{timestamp_s}.".encode() + body
    expected = [
        hmac.new(text.encode(), content, hashlib.sha256).hexdigest() for text in (CURRENT, OLD)
    ]
    assert value(wire, "Stripe-Signature") == f"t={timestamp_s},v1={expected[0]},v1={expected[1]}"


def test_github_s_documented_values() -> None:
    wire = github.signature_header("It's a Secret to Everybody", b"Hello, World!")

    assert value(wire, "X-Hub-Signature-256") == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@given(secret=st.text(min_size=1, max_size=80), body=st.binary(max_size=300))
def test_github_s_signature_is_what_the_standard_library_computes(secret: str, body: bytes) -> None:
    wire = github.signature_header(secret, body)

    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert value(wire, "X-Hub-Signature-256") == f"sha256={digest}"


def test_nothing_is_signed_with_an_empty_secret() -> None:
    with pytest.raises(SecretError, match="empty"):
        github.signature_header("", b"x")
    with pytest.raises(SecretError, match="empty"):
        stripe_format.signature_header([CURRENT, ""], timestamp_s=0, body=b"x")
    with pytest.raises(SecretError, match="without a secret"):
        stripe_format.signature_header([], timestamp_s=0, body=b"x")
