"""`verify` itself: schemes of one's own, stripe's package as the sender, documents, handshakes."""

import json
import time

import pytest
import stripe

from ringback.errors import (
    KeyNeeded,
    Malformed,
    Misconfigured,
    Mismatch,
    Missing,
    Stale,
    VerificationError,
)
from ringback.receive import (
    Draft,
    Field,
    Header,
    Pairs,
    Plain,
    SecretText,
    Timestamp,
    hmac_scheme,
    providers,
    respond,
    sign,
    verify,
)
from ringback.sign.certificate import self_signed
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
WHSEC = "whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
EVENT = json.dumps({"id": "evt_1", "object": "event", "type": "charge.refunded"})
SCHEMES = {scheme.name: scheme for scheme in providers()}


def stripe_header(*items: str) -> dict[str, str]:
    return {"Stripe-Signature": ",".join(items)}


def stripe_v1(timestamp: str, secret: str = WHSEC) -> str:
    return stripe.WebhookSignature._compute_signature(f"{timestamp}.{EVENT}", secret)


def received(headers: dict[str, str], now_s: float = NOW_S) -> str:
    return verify("stripe", headers, EVENT.encode(), secrets=WHSEC, now_s=now_s).id


def test_what_stripe_s_package_signs_is_accepted() -> None:
    assert received(stripe_header(f"t={NOW_S}", f"v1={stripe_v1(str(NOW_S))}")) == "evt_1"


def test_stripe_s_package_accepts_what_is_signed_here() -> None:
    made = sign("stripe", Draft(body=EVENT.encode(), timestamp_s=int(time.time())), WHSEC)

    event = stripe.Webhook.construct_event(EVENT, dict(made.headers)["Stripe-Signature"], WHSEC)

    assert event.id == "evt_1"


def test_stripe_s_header_is_read_strictly() -> None:
    now, good = f"t={NOW_S}", f"v1={stripe_v1(str(NOW_S))}"
    v0 = good.replace("v1", "v0")
    assert received(stripe_header(good, now)) == "evt_1"
    assert received(stripe_header(now, "v1=00", good, v0)) == "evt_1"
    for items in ([now, v0], [now, now, good], [good], [now, f" {good}"], [f"{now} ", good], [now]):
        with pytest.raises(Malformed):
            received(stripe_header(*items))
    with pytest.raises(Malformed):
        received(stripe_header(now, good.upper().replace("V1", "v1")))


def test_a_signature_of_tomorrow_is_stale_although_stripe_s_package_takes_it() -> None:
    tomorrow = NOW_S + 86_400

    with pytest.raises(Stale, match="in the future"):
        received(stripe_header(f"t={tomorrow}", f"v1={stripe_v1(str(tomorrow))}"))


def test_the_number_of_signatures_is_bounded() -> None:
    now, good = f"t={NOW_S}", f"v1={stripe_v1(str(NOW_S))}"
    assert received(stripe_header(now, *["v1=00"] * 15, good)) == "evt_1"
    with pytest.raises(Malformed):
        received(stripe_header(now, *["v1=00"] * 16, good))


@pytest.mark.parametrize("prefix", ["sk_live_x", "pk_test_x", "rk_x", "we_1"])
def test_another_credential_of_the_provider_is_named_as_the_mistake(prefix: str) -> None:
    with pytest.raises(Misconfigured, match=r"Stripe: .*signing secret.* whsec_") as caught:
        verify("stripe", {"Stripe-Signature": "t=1,v1=00"}, b"{}", secrets=prefix, now_s=1)
    assert prefix not in str(caught.value)


OWN = hmac_scheme(
    "warehouse",
    "Our warehouse",
    documentation="https://warehouse.example/webhooks",
    layout=Plain("X-Signature", prefix="s1="),
    content="{method}|{url}|{header:x-event-id}|{timestamp}|{body}",
    algorithm="sha512",
    encoding="base64",
    timestamp=Timestamp(header="x-time", form="rfc3339", tolerance_s=60),
    secret=SecretText("the warehouse's key, 64 hexadecimal digits", form="hex"),
    id=(Header("x-event-id"),),
    type=(Field("what.happened"),),
)


def test_a_scheme_of_one_s_own_is_declared() -> None:
    secret, url = "ab" * 32, "https://me.example/"
    body = b'{"what":{"happened":"parcel.sent"}}'
    made = sign(OWN, Draft(body=body, timestamp_s=NOW_S, id="e1", url=url), secret)

    event = verify(OWN, made.headers, body, secrets=secret, now_s=NOW_S, url=url)

    assert (event.provider, event.id, event.type) == ("warehouse", "e1", "parcel.sent")
    assert event.is_id_signed
    assert event.timestamp_s == NOW_S
    other_id = [*made.headers[:1], ("x-event-id", "e2"), *made.headers[2:]]
    with pytest.raises(Mismatch):
        verify(OWN, other_id, body, secrets=secret, now_s=NOW_S, url=url)
    with pytest.raises(Mismatch):
        verify(OWN, made.headers, body, secrets=secret, now_s=NOW_S, url=url + "?")
    with pytest.raises(Mismatch):
        verify(OWN, made.headers, body, secrets=secret, now_s=NOW_S, url=url, method="PUT")


def test_a_template_that_cannot_be_is_a_mistake_in_the_program() -> None:
    for content, stamp in (
        ("{timestamp}.{body}", None),
        ("{body}", Timestamp()),
        ("{nothing}", None),
    ):
        with pytest.raises(ValueError, match="conten"):
            hmac_scheme(
                "x",
                "X",
                documentation="https://x.example",
                layout=Pairs("X", "v1", timestamp="t"),
                content=content,
                timestamp=stamp,
            )


@pytest.mark.parametrize(
    "name", ["nobody", "", "Stripe", "../stripe", "__init__", "stripe\n", "x" * 99]
)
def test_a_provider_that_is_none_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"there is no provider .* stripe"):
        verify(name, {}, b"", secrets="x", now_s=1)
    with pytest.raises(Misconfigured):
        verify(None, {}, b"", secrets="x", now_s=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("tolerance_s", [0, -1, True, 1.5, "300", 7 * 86_400 + 1])
def test_a_tolerance_that_is_none_is_refused(tolerance_s: int) -> None:
    with pytest.raises(Misconfigured, match="tolerance_s"):
        verify("stripe", {}, b"", secrets=WHSEC, now_s=1, tolerance_s=tolerance_s)


def test_every_error_is_of_one_family_with_a_status_that_keeps_the_subscription() -> None:
    kinds: set[type[VerificationError]] = {Missing, Malformed, Mismatch, Stale, KeyNeeded}
    kinds.add(Misconfigured)
    assert set(VerificationError.__subclasses__()) == kinds
    assert {kind: kind.status for kind in kinds} == {
        Missing: 401,
        Malformed: 401,
        Mismatch: 401,
        Stale: 401,
        KeyNeeded: 503,
        Misconfigured: 500,
    }


def test_a_certificate_is_asked_for_by_its_checked_url() -> None:
    pair = key_pair(SCHEMES["paypal"], 1)
    made = sign("paypal", Draft(body=b'{"id":"WH-1"}', timestamp_s=NOW_S), pair.signing)
    arguments = {"secrets": pair.verifying, "now_s": NOW_S}

    with pytest.raises(KeyNeeded) as caught:
        verify("paypal", made.headers, made.body, **arguments)  # type: ignore[arg-type]
    assert caught.value.url in made.documents
    documents = {caught.value.url: made.documents[caught.value.url]}
    event = verify("paypal", made.headers, made.body, documents=documents, **arguments)  # type: ignore[arg-type]
    assert event.id == "WH-1"
    assert not event.is_id_signed


@pytest.mark.parametrize(
    "url",
    [
        "https://api.paypal.com.evil.com/v1/notifications/certs/CERT-1",
        "https://evil.com/?https://api.paypal.com/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.com/v1/notifications/certs/CERT-1",
        "https://evil@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../x",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
        "https://api.paypal.com/v1/notifications/certs/CERT-1\n",
        "https://API.PAYPAL.COM/v1/notifications/certs/CERT-1",
        "https://127.0.0.1/v1/notifications/certs/CERT-1",
    ],
)
def test_a_certificate_from_elsewhere_is_never_asked_for(url: str) -> None:
    pair = key_pair(SCHEMES["paypal"], 1)
    made = sign("paypal", Draft(body=b"{}", timestamp_s=NOW_S), pair.signing)
    headers = {**dict(made.headers), "paypal-cert-url": url}

    with pytest.raises(Malformed, match="cert-url"):
        verify("paypal", headers, made.body, secrets=pair.verifying, now_s=NOW_S)


def test_a_certificate_must_be_one_and_valid_now() -> None:
    pair = key_pair(SCHEMES["paypal"], 1)
    pem = pair.signing.partition("\n")[2]
    made = sign("paypal", Draft(body=b"{}", timestamp_s=NOW_S), pair.signing)
    (url,) = made.documents
    year_s = 365 * 86_400
    other = key_pair(SCHEMES["paypal"], 2).signing.partition("\n")[2]
    for document in (
        b"",
        b"junk",
        pem.encode(),
        self_signed(pem, host="x", at_s=NOW_S - year_s),
        self_signed(pem, host="x", at_s=NOW_S + year_s),
        self_signed(other, host="x", at_s=NOW_S),
    ):
        with pytest.raises(Mismatch):
            verify(
                "paypal",
                made.headers,
                made.body,
                secrets=pair.verifying,
                now_s=NOW_S,
                documents={url: document},
            )


def slack(payload: object, secret: str = "s" * 32) -> dict[str, object]:
    body = json.dumps(payload).encode()
    made = sign("slack", Draft(body=body, timestamp_s=NOW_S), secret)
    return {"headers": made.headers, "body": made.body, "secrets": "s" * 32, "now_s": NOW_S}


def test_slack_s_challenge_is_echoed_if_it_is_signed() -> None:
    challenge = {"type": "url_verification", "challenge": "3eZbrw1aB10FEMAGAZd4FyFQ", "token": "x"}

    reply = respond("slack", **slack(challenge))  # type: ignore[arg-type]

    assert reply is not None
    assert (reply.status, reply.body) == (200, b"3eZbrw1aB10FEMAGAZd4FyFQ")
    assert ("X-Content-Type-Options", "nosniff") in reply.headers
    with pytest.raises(Mismatch):
        respond("slack", **slack(challenge, "t" * 32))  # type: ignore[arg-type]
    ordinary = {"type": "event_callback", "text": "url_verification", "event": {"type": "message"}}
    assert respond("slack", **slack(ordinary)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("challenge", ["", "<script>", "x" * 10_000, 7, None, "a\r\nb", "é"])
def test_a_challenge_that_is_no_challenge_is_not_echoed(challenge: object) -> None:
    with pytest.raises(Malformed, match="challenge"):
        respond("slack", **slack({"type": "url_verification", "challenge": challenge}))  # type: ignore[arg-type]


def test_a_provider_without_a_handshake_has_no_answer() -> None:
    assert respond("stripe", {}, b"{}", secrets=WHSEC, now_s=NOW_S) is None
