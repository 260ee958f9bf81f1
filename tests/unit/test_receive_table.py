"""The table that every provider must pass: good, wrong secret, tampered, stale, missing, malformed.

The requests are made by each provider's own `sign`. Whether that is what the provider really sends
is shown elsewhere: by vectors of the provider, or by its own package.
"""

from collections.abc import Mapping
from hashlib import sha256

import pytest

from ringback.errors import (
    Malformed,
    Misconfigured,
    Mismatch,
    Missing,
    Stale,
    VerificationError,
)
from ringback.receive import Draft, Scheme, Signed, VerifiedEvent, providers, sign, verify
from ringback.sign.event import enveloped
from ringback.sign.scheme import SECRETS_MAX, Field, Header, KeyPair
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
PAYLOAD = {"message": "hello, wörld", "amount": 1999, "nested": {"list": [1, 2, {"a": None}]}}
SCHEMES = providers()
JUNK = [
    "",
    " ",
    "x",
    "=",
    ",",
    ";",
    "v1",
    "v1,",
    "v1=",
    "sha256=",
    "t=,v1=",
    "0" * 64,
    "A" * 43 + "=",
    "é",
    "\u0661\u0662",
    "\udcff",
    "\0",
    "a\r\nb: c",
    "-1",
    "nan",
    "9" * 400,
    "x" * 1_000_000,
    "v1, " * 1_000,
]

every = pytest.mark.parametrize("scheme", SCHEMES, ids=[scheme.name for scheme in SCHEMES])


def drafted(scheme: Scheme) -> Draft:
    draft = Draft(body=b"", timestamp_s=NOW_S, id="evt_2Yw", type="order.paid")
    body = enveloped(scheme, draft, PAYLOAD)
    return Draft(body=body, timestamp_s=NOW_S, id="evt_2Yw", type="order.paid")


def signed(scheme: Scheme, pair: KeyPair | None = None) -> Signed:
    return sign(scheme, drafted(scheme), (pair or key_pair(scheme, 1)).signing)


def verified(scheme: Scheme, request: Signed, **changes: object) -> VerifiedEvent:
    arguments: dict[str, object] = {
        "headers": request.headers,
        "body": request.body,
        "secrets": key_pair(scheme, 1).verifying,
        "now_s": NOW_S,
        "url": request.url,
        "method": request.method,
        "documents": request.documents,
        **changes,
    }
    return verify(scheme.name, **arguments)  # type: ignore[arg-type]


@every
def test_what_the_provider_signs_is_accepted(scheme: Scheme) -> None:
    request = signed(scheme)

    event = verified(scheme, request)

    assert event.provider == scheme.name
    assert event.body == request.body
    assert event.id
    assert event.secret_index == 0
    assert event.timestamp_s is None if scheme.tolerance_s is None else event.timestamp_s == NOW_S
    assert verified(scheme, request) == event


@every
def test_the_event_says_what_the_request_says(scheme: Scheme) -> None:
    request = signed(scheme)

    event = verified(scheme, request)

    first = event.events()[0]
    if scheme.id and scheme.parts is None and isinstance(scheme.id[0], Field | Header):
        assert event.id == "evt_2Yw"
    if scheme.type or scheme.parts:
        assert "order.paid" in {first.type, event.type}
    if event.id.startswith("sha256:"):
        assert event.id == f"sha256:{sha256(request.body).hexdigest()}"
    assert event.is_id_signed <= (scheme.covers_body or not event.id.startswith("sha256:"))


@every
def test_another_secret_is_a_mismatch(scheme: Scheme) -> None:
    with pytest.raises(Mismatch):
        verified(scheme, signed(scheme), secrets=key_pair(scheme, 2).verifying)


@every
def test_during_a_rotation_both_secrets_are_good(scheme: Scheme) -> None:
    both = [key_pair(scheme, 2).verifying, key_pair(scheme, 1).verifying]

    assert verified(scheme, signed(scheme), secrets=both).secret_index == 1
    assert verified(scheme, signed(scheme), secrets=tuple(reversed(both))).secret_index == 0


@every
def test_no_bit_of_the_body_can_be_changed(scheme: Scheme) -> None:
    if not scheme.covers_body:
        pytest.skip("its proof says nothing about the body")
    request = signed(scheme)
    altered = [
        request.body[:at] + bytes([byte ^ 1]) + request.body[at + 1 :]
        for at, byte in enumerate(request.body)
    ]

    for body in [
        *altered,
        b"",
        request.body + b"\n",
        request.body[:-1],
        b"\xef\xbb\xbf" + request.body,
    ]:
        with pytest.raises((Mismatch, Malformed, Missing)):
            verified(scheme, request, body=body)


@every
def test_the_window_is_closed_on_both_sides(scheme: Scheme) -> None:
    if scheme.tolerance_s is None:
        pytest.skip("it signs no time")
    request = signed(scheme)

    for offset in (scheme.tolerance_s, -scheme.tolerance_s):
        assert verified(scheme, request, now_s=NOW_S + offset).timestamp_s == NOW_S
    outside = scheme.tolerance_s + 1
    for offset in (outside, -outside, outside + 86_400, -outside - 86_400):
        with pytest.raises(Stale):
            verified(scheme, request, now_s=NOW_S + offset)
    assert verified(scheme, request, now_s=NOW_S + 600, tolerance_s=600).timestamp_s == NOW_S
    with pytest.raises(Stale):
        verified(scheme, request, now_s=NOW_S + 6, tolerance_s=5)


@every
def test_a_window_is_not_asked_of_who_signs_no_time(scheme: Scheme) -> None:
    if scheme.tolerance_s is not None:
        pytest.skip("it signs a time")
    with pytest.raises(Misconfigured, match="signs no time"):
        verified(scheme, signed(scheme), tolerance_s=300)


def proving(scheme: Scheme, request: Signed) -> list[str]:
    """The headers without which the request is not accepted."""
    return [
        name for name, _ in request.headers if not accepts(scheme, request, without(request, name))
    ]


def without(request: Signed, name: str) -> list[tuple[str, str]]:
    return [(other, text) for other, text in request.headers if other != name]


def accepts(scheme: Scheme, request: Signed, headers: object) -> bool:
    try:
        verified(scheme, request, headers=headers)
    except VerificationError as error:
        assert isinstance(error, Missing), repr(error)  # noqa: PT017
        return False
    return True


@every
def test_a_request_without_a_proof_misses_it(scheme: Scheme) -> None:
    request = signed(scheme)
    by_headers = proving(scheme, request)

    assert by_headers or request.body != drafted(scheme).body
    if by_headers:
        with pytest.raises(Missing):
            verified(scheme, request, headers={})
    else:
        for body in (b"{}", drafted(scheme).body):
            with pytest.raises((Missing, Malformed)):
                verified(scheme, request, body=body)


@every
def test_malformed_headers_are_refused(scheme: Scheme) -> None:
    request = signed(scheme)
    for name in proving(scheme, request):
        for junk in JUNK:
            with pytest.raises((Malformed, Mismatch)):
                verified(scheme, request, headers=[*without(request, name), (name, junk)])


@every
def test_a_header_that_is_sent_twice_is_refused(scheme: Scheme) -> None:
    request = signed(scheme)
    for name in proving(scheme, request):
        same = (name.upper(), dict(request.headers)[name])
        for twice in (same, (name.title(), "other")):
            for headers in ([*request.headers, twice], [twice, *request.headers]):
                with pytest.raises(Malformed):
                    verified(scheme, request, headers=headers)


@every
def test_headers_may_come_in_any_shape(scheme: Scheme) -> None:
    request = signed(scheme)
    event = verified(scheme, request)
    environ = {
        "REQUEST_METHOD": "POST",
        "wsgi.version": (1, 0),
        "wsgi.errors": object(),
        **{environ_name(name): text for name, text in request.headers},
    }
    shapes: list[object] = [
        dict(request.headers),
        {name.upper(): text for name, text in request.headers},
        {name: [text] for name, text in request.headers},
        {name.encode(): text.encode() for name, text in request.headers},
        [(name.encode(), text.encode()) for name, text in request.headers],
        iter(request.headers),
        environ,
    ]

    for headers in shapes:
        assert verified(scheme, request, headers=headers) == event
    assert verified(scheme, request, body=bytearray(request.body)) == event
    assert verified(scheme, request, body=memoryview(request.body)) == event


def environ_name(name: str) -> str:
    upper = name.upper().replace("-", "_")
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


@every
def test_the_receiver_s_own_mistakes_are_named(scheme: Scheme) -> None:
    request = signed(scheme)
    good = key_pair(scheme, 1).verifying
    mistakes: list[Mapping[str, object]] = [
        {"secrets": ""},
        {"secrets": []},
        {"secrets": None},
        {"secrets": [None]},
        {"secrets": good.encode()},
        {"secrets": [good, ""]},
        {"secrets": [good] * (SECRETS_MAX + 1)},
        {"body": request.body.decode()},
        {"body": {"parsed": True}},
        {"body": None},
        {"headers": None},
        {"headers": "text"},
        {"headers": [("one",)]},
        {"headers": {1: "x"}},
        {"now_s": NOW_S * 1000},
        {"now_s": float("nan")},
        {"now_s": None},
        {"url": b"https://x"},
        {"method": None},
        {"documents": None},
        {"documents": b"PEM"},
        {"documents": dict.fromkeys(request.documents or ["https://x"], "PEM")},
        {"documents": dict.fromkeys(request.documents or ["https://x"], bytearray(b"PEM"))},
    ]
    if "BEGIN" not in good:
        mistakes += [{"secrets": good + "\n"}, {"secrets": " " + good}]

    for mistake in mistakes:
        with pytest.raises(Misconfigured) as caught:
            verified(scheme, request, **mistake)
        assert good not in str(caught.value)


@every
def test_where_the_url_is_signed_it_must_be_known_and_right(scheme: Scheme) -> None:
    if not scheme.needs_url:
        pytest.skip("it does not sign the URL")
    request = signed(scheme)
    with pytest.raises(Misconfigured, match="url"):
        verified(scheme, request, url=None)
    with pytest.raises(Mismatch):
        verified(scheme, request, url=request.url + "/other")


@every
def test_the_description_is_whole(scheme: Scheme) -> None:
    assert scheme.documentation.startswith("https://")
    assert scheme.title
    assert scheme.signature
    assert scheme.secret
    assert scheme.vectors in {"vendor", "local"}
    assert scheme.covers_body or scheme.caution
    assert 200 <= scheme.accepted.status < 300
