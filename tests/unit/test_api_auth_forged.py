"""Tokens that were made to get in: any head, any claims, any bytes, keys of the wrong kind."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.auth import LEEWAY_S, TOKEN_BYTES_MAX, Tokens
from ringback.config import Settings
from ringback.errors import ConfigError, Unauthenticated
from ringback.testing.stores import START_MS, StillClock

SECRET = "s" * 64
NOW_S = START_MS // 1000


def tokens(**changes: Any) -> Tokens:
    return Tokens(Settings(**({"jwt_secret": SECRET} | changes)), StillClock())


def bearer(claims: object, *, key: str = SECRET, algorithm: str = "HS256") -> bytes:
    token = jwt.api_jws.encode(json.dumps(claims).encode(), key.encode(), algorithm=algorithm)
    return b"Bearer " + token.encode()


def pem_pair(algorithm: str) -> tuple[str, str]:
    """A private key and its public half."""
    if algorithm == "EdDSA":
        key: Any = Ed25519PrivateKey.generate()
    else:
        key = generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "org_a", "exp": NOW_S - LEEWAY_S - 1},
        {"sub": "org_a", "iat": NOW_S + LEEWAY_S + 1},
        {"sub": "org_a", "nbf": NOW_S + 1},
        {"sub": "org_a", "exp": "tomorrow"},
        {"sub": "org_a", "exp": True},
        {},
        {"sub": None},
        {"sub": "org_"},
        {"sub": "org_a/b"},
        {"sub": "org_a\n"},
        {"sub": "org_" + "a" * 300},
        {"sub": "app_1"},
        {"sub": "user_1"},
        {"sub": "org_a", "org": "org_a"},
        {"sub": "app_1", "org": "a"},
        {"sub": "app_1", "org": "org_a", "capabilities": ["Everything"]},
        [],
        "org_a",
        None,
    ],
)
def test_claims_that_are_refused(claims: object) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(bearer(claims))


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic b3JnX2E6",
        b"Bearer \xff\xfe",
        b"Bearer a.b.c",
        b"Bearer " + b"a" * (TOKEN_BYTES_MAX + 1),
    ],
)
def test_headers_that_hold_no_token(header: bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(header)


def _signed_by_hand(head: object, claims: object, *, key: str = SECRET) -> bytes:
    """A token with any head, its HMAC-SHA256 correct."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (head, claims)]
    text = b".".join(part.rstrip(b"=") for part in parts)
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    tag = base64.urlsafe_b64encode(signature.sign(text, key.encode())).rstrip(b"=")
    return b"Bearer " + text + b"." + tag


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
HEAD = st.fixed_dictionaries(
    {"alg": st.sampled_from(["none", "None", "HS384", "RS256", "EdDSA", ""]) | JSON},
    optional=dict.fromkeys(("typ", "kid", "crit", "b64", "jku", "jwk", "x5u", "zip"), JSON),
)


@given(HEAD.filter(lambda head: head["alg"] != "HS256") | JSON)
def test_no_head_chooses_its_own_rules(head: object) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(_signed_by_hand(head, {"sub": "org_a"}))


@given(st.binary(max_size=60))
def test_nothing_but_a_token_gets_in(text: bytes) -> None:
    with pytest.raises(Unauthenticated):
        tokens().principal(b"Bearer " + text)


def test_a_key_of_another_kind_is_found_at_the_start() -> None:
    for algorithm, other in (("RS256", "EdDSA"), ("EdDSA", "RS256")):
        for key in pem_pair(other):
            with pytest.raises(ConfigError, match=f"not a key for {algorithm}"):
                tokens(jwt_secret=key, jwt_algorithm=algorithm)
