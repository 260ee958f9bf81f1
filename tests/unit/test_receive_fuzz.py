"""Whatever comes in, nothing but an event or a VerificationError comes out, for every provider.

Requests are made from good ones by damage, so that the code behind the first check is reached too.
Run it for longer with `HYPOTHESIS_MAX_EXAMPLES=1000000 pytest tests/unit/test_receive_fuzz.py`.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.errors import VerificationError
from ringback.receive import Draft, Signed, VerifiedEvent, providers, respond, sign, verify
from ringback.sign.event import enveloped
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
SCHEMES = {scheme.name: scheme for scheme in providers()}
EXAMPLES = int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "30"))

texts = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="0123456789abcdef", max_size=70),
    st.sampled_from(
        [
            "",
            "v1,",
            "v1=",
            "t=1,v1=",
            "=" * 50,
            "\udcff",
            "\0",
            "A" * 43 + "=",
            "9" * 5_000,
            "2026-01-31T12:00:00Z",
            "0000-00-00T99:99:99+99:99",
            "https://api.paypal.com/v1/notifications/certs/x",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.e30.",
        ]
    ),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def headers_like(draw: st.DrawFn, good: tuple[tuple[str, str], ...]) -> object:
    fields: list[tuple[Any, Any]] = []
    for name, text in good:
        match draw(st.integers(min_value=0, max_value=5)):
            case 0:
                continue
            case 1:
                fields.append((name, draw(texts)))
            case 2:
                fields += [(name, text), (name.upper(), draw(texts))]
            case 3:
                at = draw(st.integers(min_value=0, max_value=len(text)))
                fields.append((name, text[:at] + draw(texts) + text[at:]))
            case _:
                fields.append((name, text))
    shape = draw(st.sampled_from(["pairs", "mapping", "bytes", "environ"]))
    if shape == "bytes":
        return [(n.encode("utf-8", "replace"), t.encode("utf-8", "replace")) for n, t in fields]
    if shape == "environ":
        return {f"HTTP_{n.upper().replace('-', '_')}": t for n, t in fields}
    return dict(fields) if shape == "mapping" else fields


def damaged(body: bytes, at: int, piece: bytes) -> bytes:
    at %= len(body) + 1
    return body[:at] + piece + body[at + len(piece) :]


@st.composite
def bodies_like(draw: st.DrawFn, good: bytes) -> bytes:
    match draw(st.integers(min_value=0, max_value=4)):
        case 0:
            return draw(st.binary(max_size=200))
        case 1:
            return damaged(good, draw(st.integers(0, 500)), draw(st.binary(min_size=1, max_size=8)))
        case 2:
            return good[: draw(st.integers(min_value=0, max_value=len(good)))]
    return good


def made(name: str, payload: object) -> Signed:
    scheme = SCHEMES[name]
    draft = Draft(body=b"", timestamp_s=NOW_S)
    body = enveloped(scheme, draft, payload)
    return sign(scheme, Draft(body=body, timestamp_s=NOW_S), key_pair(scheme, 1).signing)


def outcome(call: Any, name: str, **arguments: Any) -> object:
    """The answer, or the VerificationError; any other exception fails the test."""
    try:
        return call(name, **arguments)
    except VerificationError as error:
        return error


GOOD = {name: made(name, {"a": 1, "b": ["c", None]}) for name in SCHEMES}


@pytest.mark.parametrize("name", SCHEMES)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="HYPOTHESIS_MAX_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(draw=st.data())
def test_nothing_foreign_comes_out(name: str, draw: st.DataObject) -> None:
    good = GOOD[name]
    secret = key_pair(SCHEMES[name], 1).verifying
    secrets = draw.draw(st.one_of(st.just(secret), st.just([secret]), texts, st.lists(texts)))
    arguments = {
        "headers": draw.draw(headers_like(good.headers)),
        "body": draw.draw(bodies_like(good.body)),
        "secrets": secrets,
        "now_s": draw.draw(st.one_of(st.just(NOW_S), st.floats(), st.integers())),
        "url": draw.draw(st.one_of(st.just(good.url), st.none(), texts)),
        "method": draw.draw(st.sampled_from(["POST", "GET", "", "é"])),
        "documents": draw.draw(
            st.one_of(
                st.just(good.documents),
                st.just({}),
                st.dictionaries(st.sampled_from([*good.documents, "x"]), st.binary(max_size=60)),
            )
        ),
    }

    event = outcome(verify, name, **arguments)
    answer = outcome(respond, name, **arguments)

    assert isinstance(event, VerifiedEvent | VerificationError)
    if isinstance(event, VerifiedEvent):
        assert 0 < len(event.id) <= 256
        assert all(0 < len(one.id) <= 256 for one in event.events())
    if SCHEMES[name].respond is None:
        assert answer is None


@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=max(EXAMPLES // 3, 1), deadline=None, derandomize=True)
@given(payload=json_values)
def test_whatever_json_a_provider_signs_is_accepted_or_called_malformed(
    name: str, payload: object
) -> None:
    try:
        good = made(name, payload)
    except (UnicodeEncodeError, OverflowError, VerificationError):
        return  # what cannot be sent need not be received

    event = outcome(
        verify,
        name,
        headers=good.headers,
        body=good.body,
        secrets=key_pair(SCHEMES[name], 1).verifying,
        now_s=NOW_S,
        url=good.url,
        method=good.method,
        documents=good.documents,
    )

    assert isinstance(event, VerifiedEvent | VerificationError)


def test_a_hundred_thousand_headers_and_items_end_at_once() -> None:
    many = [(f"x-{number}", "v") for number in range(100_000)]
    for name, scheme in SCHEMES.items():
        secret = key_pair(scheme, 1).verifying
        answer = outcome(verify, name, headers=many, body=b"{}", secrets=secret, now_s=NOW_S)
        assert isinstance(answer, VerificationError)
