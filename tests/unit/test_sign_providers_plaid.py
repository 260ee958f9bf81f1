"""Plaid, local vectors: tokens of another algorithm, without claims, or with keys of one's own."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Private
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ringback.errors import KeyNeeded, Malformed, Mismatch, Missing, Stale, VerificationError
from ringback.receive import VerifiedEvent, verify

NOW_S = 1_735_689_600
KEY = derive_private_key(123456789, SECP256R1())
OTHER = derive_private_key(987654321, SECP256R1())
KID = "bfbd5111-8e33-4643-8ced-b2e642a72f3c"
URL = f"https://production.plaid.com/webhook_verification_key/get#{KID}"
BODY = json.dumps({"webhook_type": "ITEM", "webhook_code": "ERROR"}, indent=2).encode()
CLAIMS = {"iat": NOW_S, "request_body_sha256": sha256(BODY).hexdigest()}


def jwk(private: Private = KEY, **changes: Any) -> bytes:
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    return json.dumps({"key": {**key, "kid": KID, "expired_at": None, **changes}}).encode()


def token(claims: dict[str, Any] = CLAIMS, private: Private = KEY, **headers: Any) -> str:
    return jwt.encode(claims, private, algorithm="ES256", headers={"kid": KID, **headers})


def received(text: str, body: bytes = BODY, **changes: Any) -> VerifiedEvent:
    arguments: dict[str, Any] = {
        "secrets": "production",
        "now_s": NOW_S,
        "documents": {URL: jwk()},
        **changes,
    }
    return verify("plaid", {"Plaid-Verification": text}, body, **arguments)


def test_a_token_by_another_library_is_accepted() -> None:
    event = received(token())

    assert (event.type, event.timestamp_s) == ("ITEM.ERROR", NOW_S)
    assert event.id == f"sha256:{sha256(BODY).hexdigest()}"
    with pytest.raises(Stale):
        received(token(), now_s=NOW_S + 301)
    with pytest.raises(Stale):
        received(token({**CLAIMS, "iat": NOW_S + 301}))


def test_the_key_is_asked_for_by_its_name() -> None:
    with pytest.raises(KeyNeeded) as caught:
        received(token(), documents={})
    assert caught.value.url == URL
    with pytest.raises(KeyNeeded) as caught:
        received(token(), secrets="sandbox")
    assert caught.value.url == URL.replace("production", "sandbox")
    with pytest.raises(KeyNeeded) as caught:
        received(token(), secrets=["production", "sandbox"], documents={URL: jwk(OTHER)})
    assert "sandbox" in caught.value.url
    assert received(token(), secrets=["sandbox", "production"]).secret_index == 1


@pytest.mark.parametrize(
    "kid",
    ["", "../../x", "a b", "a#b", "x" * 65, "%2e%2e", "a?client_id=b", 1, None, ["a"], "ä", "a\n"],
)
def test_a_key_s_name_that_is_none_is_never_asked_for(kid: Any) -> None:
    header, claims, signature = token().split(".")
    forged = part({"alg": "ES256", "kid": kid})
    with pytest.raises(Malformed):
        received(f"{forged}.{claims}.{signature}", documents={})
    assert header != forged


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_only_es256_is_accepted() -> None:
    _, claims, signature = token().split(".")
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with_hmac = jwt.encode(CLAIMS, sha256(pem).digest(), algorithm="HS256", headers={"kid": KID})
    tokens = [
        f"{part({'alg': 'none', 'kid': KID})}.{claims}.",
        f"{part({'alg': 'none', 'kid': KID})}.{claims}.{signature}",
        with_hmac,
        jwt.encode(
            CLAIMS, derive_private_key(5, SECP384R1()), algorithm="ES384", headers={"kid": KID}
        ),
    ]
    tokens += [
        f"{part({'alg': alg, 'kid': KID})}.{claims}.{signature}"
        for alg in ("ES512", "es256", "", None, 1, ["ES256"])
    ]

    for text in tokens:
        with pytest.raises(Malformed):
            received(text)


def test_a_key_that_the_token_brings_along_is_not_looked_at() -> None:
    own = json.loads(jwk(OTHER))["key"]
    for headers in ({"jku": "https://evil.example/keys"}, {"jwk": own}, {"x5u": "https://evil"}):
        assert received(token(**headers)).type
        with pytest.raises(Mismatch):
            received(token(private=OTHER, **headers))
    with pytest.raises(Malformed):
        received(token(crit=["exp"]))


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iat": NOW_S}, Malformed),
        ({"request_body_sha256": CLAIMS["request_body_sha256"]}, Malformed),
        ({**CLAIMS, "request_body_sha256": sha256(b"").hexdigest()}, Mismatch),
        ({**CLAIMS, "request_body_sha256": str(CLAIMS["request_body_sha256"]).upper()}, Malformed),
        ({**CLAIMS, "request_body_sha256": 1}, Malformed),
        ({**CLAIMS, "iat": str(NOW_S)}, Malformed),
        ({**CLAIMS, "iat": float(NOW_S)}, Malformed),
        ({**CLAIMS, "iat": True}, Malformed),
        ({**CLAIMS, "iat": -1}, Malformed),
        ({**CLAIMS, "iat": 10**30}, Malformed),
    ],
)
def test_claims_must_be_right(claims: dict[str, Any], error: type[VerificationError]) -> None:
    header, _, _ = token().split(".")
    content = f"{header}.{part(claims)}"
    signature = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(
        content.encode(), KEY
    )
    text = f"{content}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    with pytest.raises(error):
        received(text)


def test_the_body_is_the_one_of_the_token() -> None:
    for body in (BODY + b"\n", BODY.replace(b" ", b""), b"", b"\xef\xbb\xbf" + BODY):
        with pytest.raises(Mismatch):
            received(token(), body)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c",
        "....",
        token() + ".x",
        token() + "=",
        token().replace(".", "=."),
        token().replace(".", " ."),
        token()[:-1],
        token()[:-1] + "!",
        "x" * 9_000,
    ],
)
def test_what_is_no_token_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        received(text)


def test_a_token_in_another_spelling_is_refused() -> None:
    text = token()
    last = text[-1]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef":
        if other != last:
            with pytest.raises((Malformed, Mismatch)):
                received(text[:-1] + other)
    with pytest.raises(Missing):
        verify("plaid", {}, BODY, secrets="production", now_s=NOW_S)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"nonsense",
        b'{"key":1}',
        b'{"key":{}}',
        jwk(kid="other"),
        jwk(kty="RSA"),
        jwk(crv="P-384"),
        jwk(x="AA"),
        jwk(x=1),
        jwk(y="!"),
        jwk(OTHER),
        jwk(expired_at=NOW_S - 1),
    ],
)
def test_a_document_that_is_not_the_key_proves_nothing(document: bytes) -> None:
    with pytest.raises(Mismatch):
        received(token(), documents={URL: document})
