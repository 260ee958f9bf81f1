"""The headers of an attempt: the scheme decides, expired secrets are out, nothing goes unsigned."""

import time

import pytest
import standardwebhooks
import stripe as stripe_package
from msgspec.structs import replace

from ringback.errors import SecretError
from ringback.model import Secret, SignatureScheme
from ringback.sign import standard
from ringback.sign.delivery import check_scheme, signed_headers
from ringback.sign.providers import github, stripe
from ringback.sign.secret import parse

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
WHSK = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
AT_S = 1614265330
NOW_MS = AT_S * 1000
FAMILIES: tuple[standard.HeaderFamily, ...] = ("webhook", "svix")


def signed(
    scheme: SignatureScheme,
    *secrets: Secret,
    family: standard.HeaderFamily = "webhook",
    timestamp_s: int = AT_S,
    now_ms: int = NOW_MS,
) -> bytes:
    return signed_headers(
        scheme,
        secrets,
        family=family,
        msg_id=MSG_ID,
        timestamp_s=timestamp_s,
        body=BODY,
        now_ms=now_ms,
    )


def by_name(wire: bytes) -> dict[str, str]:
    assert wire.endswith(b"\r\n")
    lines = wire.decode("ascii").removesuffix("\r\n").split("\r\n")
    fields = [(name, text) for name, _, text in (line.partition(": ") for line in lines)]
    assert len({name.lower() for name, _ in fields}) == len(fields)
    return dict(fields)


@pytest.mark.parametrize("family", FAMILIES)
def test_standard_carries_the_three_headers_with_every_valid_key(
    family: standard.HeaderFamily,
) -> None:
    old = Secret(WHSK, expires_at_ms=NOW_MS + 1)

    fields = by_name(signed(SignatureScheme.STANDARD, Secret(WHSEC), old, family=family))

    keys = [parse(WHSEC), parse(WHSK)]
    assert fields == {
        f"{family}-id": MSG_ID,
        f"{family}-timestamp": str(AT_S),
        f"{family}-signature": standard.signature(keys, MSG_ID, timestamp_s=AT_S, body=BODY),
    }


def test_a_receiver_of_the_standard_scheme_accepts_a_delivery() -> None:
    now_s = int(time.time())

    fields = by_name(
        signed(SignatureScheme.STANDARD, Secret(WHSEC), timestamp_s=now_s, now_ms=now_s * 1000)
    )

    assert standardwebhooks.Webhook(WHSEC).verify(BODY, fields) == {"test": 2432232314}


@pytest.mark.parametrize("family", FAMILIES)
def test_stripe_carries_the_identity_and_every_valid_secret(
    family: standard.HeaderFamily,
) -> None:
    old = Secret(OLD_WHSEC, expires_at_ms=NOW_MS + 1)

    wire = signed(SignatureScheme.STRIPE, Secret(WHSEC), old, family=family)

    assert list(by_name(wire)) == [f"{family}-id", f"{family}-timestamp", "Stripe-Signature"]
    assert by_name(wire)[f"{family}-id"] == MSG_ID
    assert by_name(wire)[f"{family}-timestamp"] == str(AT_S)
    assert wire.endswith(stripe.signature_header([WHSEC, OLD_WHSEC], timestamp_s=AT_S, body=BODY))


def test_stripe_s_package_accepts_a_delivery() -> None:
    now_s = int(time.time())
    fields = by_name(
        signed(SignatureScheme.STRIPE, Secret(WHSEC), timestamp_s=now_s, now_ms=now_s * 1000)
    )

    accepted = stripe_package.WebhookSignature.verify_header(
        BODY.decode(), fields["Stripe-Signature"], WHSEC, 300
    )

    assert accepted


@pytest.mark.parametrize("family", FAMILIES)
def test_github_carries_the_identity_and_the_current_secret_only(
    family: standard.HeaderFamily,
) -> None:
    old = Secret(OLD_WHSEC, expires_at_ms=NOW_MS + 1)

    wire = signed(SignatureScheme.GITHUB, Secret(WHSEC), old, family=family)

    assert list(by_name(wire)) == [f"{family}-id", f"{family}-timestamp", "X-Hub-Signature-256"]
    assert wire.endswith(github.signature_header(WHSEC, BODY))


@pytest.mark.parametrize("scheme", SignatureScheme)
@pytest.mark.parametrize("expires_at_ms", [NOW_MS, NOW_MS - 1, NOW_MS - 1000])
def test_an_expired_secret_signs_nothing(scheme: SignatureScheme, expires_at_ms: int) -> None:
    expired = Secret(OLD_WHSEC, expires_at_ms=expires_at_ms)

    assert signed(scheme, expired, Secret(WHSEC)) == signed(scheme, Secret(WHSEC))


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_nothing_is_sent_unsigned(scheme: SignatureScheme) -> None:
    with pytest.raises(SecretError, match="no signing secret"):
        signed(scheme)
    with pytest.raises(SecretError, match="no signing secret"):
        signed(scheme, Secret(WHSEC, expires_at_ms=NOW_MS), Secret(WHSK, expires_at_ms=1))


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_a_secret_that_did_not_open_signs_nothing(scheme: SignatureScheme) -> None:
    closed = Secret("sealed1:00000000:AAAA", why_closed="start with that one")
    old = replace(closed, expires_at_ms=NOW_MS + 1)

    assert signed(scheme, Secret(WHSEC), old) == signed(scheme, Secret(WHSEC))
    with pytest.raises(SecretError, match="start with that one"):
        signed(scheme, closed, Secret(OLD_WHSEC, expires_at_ms=NOW_MS + 1))


@pytest.mark.parametrize("scheme", [SignatureScheme.STRIPE, SignatureScheme.GITHUB])
def test_an_ed25519_key_does_not_fit_a_provider_s_scheme(scheme: SignatureScheme) -> None:
    with pytest.raises(SecretError, match=rf"the {scheme} signature scheme needs an HMAC secret"):
        check_scheme(scheme, WHSK)
    with pytest.raises(SecretError, match="needs an HMAC secret"):
        signed(scheme, Secret(WHSK), Secret(WHSEC, expires_at_ms=NOW_MS + 1))


def test_stripe_refuses_to_drop_an_ed25519_key_that_is_still_valid() -> None:
    with pytest.raises(SecretError, match="needs an HMAC secret"):
        signed(SignatureScheme.STRIPE, Secret(WHSEC), Secret(WHSK, expires_at_ms=NOW_MS + 1))


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_a_secret_that_fits_is_not_objected_to(scheme: SignatureScheme) -> None:
    check_scheme(scheme, WHSEC)
    check_scheme(SignatureScheme.STANDARD, WHSK)


@pytest.mark.parametrize("scheme", SignatureScheme)
@pytest.mark.parametrize("text", ["", "whsec_MfKQ", "sealed1:0a1b2c3d:AAAA", WHSEC + "\n"])
def test_a_malformed_secret_never_signs(scheme: SignatureScheme, text: str) -> None:
    with pytest.raises(SecretError):
        check_scheme(scheme, text)
    with pytest.raises(SecretError):
        signed(scheme, Secret(text))
