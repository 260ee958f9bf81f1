"""FusionAuth, local vectors: tokens by hand, of other algorithms, and without the body's digest."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256

import pytest

from ringback.errors import Malformed, Mismatch
from ringback.receive import VerifiedEvent, verify

SECRET = "a secret of forty characters or nearly so"
BODY = b'{"event":{"id":"e1","type":"user.create"}}'
CLAIMS = {"request_body_sha256": b64encode(sha256(BODY).digest()).decode()}


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(header: object, claims: object = CLAIMS, *, digest: str = "sha256") -> str:
    content = f"{part(header)}.{part(claims)}"
    tag = hmac.new(SECRET.encode(), content.encode(), digest).digest()
    return f"{content}.{urlsafe_b64encode(tag).rstrip(b'=').decode()}"


def received(text: str, body: bytes = BODY, secret: str = SECRET) -> VerifiedEvent:
    headers = {"X-FusionAuth-Signature-JWT": text}
    return verify("fusionauth", headers, body, secrets=secret, now_s=0)


@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_a_token_by_hand_is_accepted_local_vectors(bits: str) -> None:
    made = token({"alg": f"HS{bits}", "kid": "k"}, digest=f"sha{bits}")

    event = received(made)

    assert (event.id, event.type, event.is_id_signed) == ("e1", "user.create", True)
    with pytest.raises(Mismatch):
        received(made, secret="another")
    with pytest.raises(Mismatch):
        received(made, BODY + b" ")
    with pytest.raises(Mismatch):
        received(made[:-1] + ("A" if made[-1] != "A" else "B"))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "RS256"},
        {"alg": "hs256"},
        {"alg": ["HS256"]},
        {"alg": None},
        {},
        {"alg": "HS256", "crit": []},
        [],
        "HS256",
    ],
)
def test_another_algorithm_is_refused(header: object) -> None:
    with pytest.raises(Malformed):
        received(token(header))


@pytest.mark.parametrize("claims", [{}, [], {"request_body_sha256": 1}])
def test_a_token_without_the_body_s_digest_is_refused(claims: object) -> None:
    with pytest.raises(Malformed):
        received(token({"alg": "HS256"}, claims))


@pytest.mark.parametrize("digest", [sha256(BODY).hexdigest(), CLAIMS["request_body_sha256"][:-1]])
def test_the_digest_has_one_spelling(digest: str) -> None:
    with pytest.raises(Mismatch):
        received(token({"alg": "HS256"}, {"request_body_sha256": digest}))


@pytest.mark.parametrize("text", ["x", "a.b", "a.b.c.d", "..", "{}.{}.{}"])
def test_what_is_no_token_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        received(text)
