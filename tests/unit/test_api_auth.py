"""Tokens: what is believed, for how long, and that nothing else is."""

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

from ringback.api.access import Capability, Principal
from ringback.api.auth import (
    LEEWAY_S,
    TOKEN_BYTES_MAX,
    Tokens,
    mint_app_token,
    mint_org_token,
)
from ringback.config import JwtAlgorithm, Settings
from ringback.errors import ConfigError, Unauthenticated
from ringback.testing.stores import START_MS, StillClock

SECRET = "s" * 64
NOW_S = START_MS // 1000


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {"jwt_secret": SECRET, "token_cache_s": 60.0}
    return Settings(**(values | changes))


def tokens(clock: StillClock | None = None, **changes: Any) -> Tokens:
    return Tokens(settings(**changes), clock or StillClock())


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


# ---- what is believed ---------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_an_organization_token_is_for_its_organization(algorithm: JwtAlgorithm) -> None:
    made = mint_org_token(settings(jwt_algorithm=algorithm), "org_a", now_ms=START_MS)
    found = tokens(jwt_algorithm=algorithm).principal(b"bearer  " + made.encode())
    assert found == Principal(org_id="org_a")
    assert found.subject == "org_a"


def test_an_application_token_says_what_it_is_limited_to() -> None:
    made = mint_app_token(
        settings(),
        "org_a",
        app_id="app_1",
        now_ms=START_MS,
        expiry_s=3_600,
        feature_flags=("beta",),
        capabilities=(Capability.VIEW_BASE,),
    )
    assert tokens().principal(b"Bearer " + made.encode()) == Principal(
        org_id="org_a",
        app_id="app_1",
        feature_flags=("beta",),
        capabilities=frozenset({Capability.VIEW_BASE}),
    )


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_public_key_verifies_and_does_not_sign(algorithm: JwtAlgorithm) -> None:
    private, public = pem_pair(algorithm)
    signing = settings(jwt_secret=private, jwt_algorithm=algorithm)
    made = b"Bearer " + mint_org_token(signing, "org_a", now_ms=START_MS).encode()
    for key in (private, public):
        found = tokens(jwt_secret=key, jwt_algorithm=algorithm).principal(made)
        assert found.org_id == "org_a"
    verifying = settings(jwt_secret=public, jwt_algorithm=algorithm)
    with pytest.raises(ConfigError, match="public key"):
        mint_org_token(verifying, "org_a", now_ms=START_MS)


def test_a_public_key_is_not_taken_for_a_shared_secret() -> None:
    """The classic confusion: HS256 with the public key's text as the key."""
    _, public = pem_pair("RS256")
    forged = _signed_by_hand({"alg": "HS256"}, {"sub": "org_a"}, key=public)
    with pytest.raises(Unauthenticated):
        tokens(jwt_secret=public, jwt_algorithm="RS256").principal(forged)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "org_a", "exp": NOW_S - LEEWAY_S},
        {"sub": "org_a", "iat": NOW_S + LEEWAY_S},
        {"sub": "org_a", "nbf": NOW_S},
        {"sub": "org_a", "exp": 1e300, "something": ["else"]},
    ],
)
def test_instants_that_are_good_enough(claims: object) -> None:
    assert tokens().principal(bearer(claims)).org_id == "org_a"


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


# ---- what is not --------------------------------------------------------------------------------


def test_the_secret_itself_gets_a_warning_of_its_own() -> None:
    with pytest.raises(Unauthenticated, match="JWT secret itself"):
        tokens().principal(b"Bearer " + SECRET.encode())


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
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
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


# ---- for how long -------------------------------------------------------------------------------


def test_a_remembered_token_ends_when_it_expires() -> None:
    clock = StillClock()
    kept = tokens(clock, token_cache_s=86_400.0)
    header = bearer({"sub": "org_a", "exp": NOW_S + 10})
    kept.principal(header)
    clock.at_ms += (10 + LEEWAY_S) * 1_000
    kept.principal(header)
    clock.at_ms += 1
    with pytest.raises(Unauthenticated, match="expired"):
        kept.principal(header)


def test_only_so_many_tokens_are_remembered() -> None:
    kept = tokens(token_cache_max=3)
    for number in range(10):
        kept.principal(bearer({"sub": f"org_{number}"}))
    assert len(kept._kept) == 3


def test_a_refused_token_is_not_remembered() -> None:
    kept = tokens()
    with pytest.raises(Unauthenticated):
        kept.principal(bearer({"sub": "org_a"}, key="another secret, as long as need be"))
    assert kept._kept == {}


# ---- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"jwt_secret": ""}, "not set"),
        ({"jwt_secret": "short", "jwt_algorithm": "RS256"}, "PEM"),
        ({"jwt_secret": "-----BEGIN PRIVATE KEY-----", "jwt_algorithm": "EdDSA"}, "PEM"),
    ],
)
def test_keys_that_cannot_work_are_found_at_the_start(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        tokens(**changes)


def test_a_key_of_another_kind_is_found_at_the_start() -> None:
    for algorithm, other in (("RS256", "EdDSA"), ("EdDSA", "RS256")):
        for key in pem_pair(other):
            with pytest.raises(ConfigError, match=f"not a key for {algorithm}"):
                tokens(jwt_secret=key, jwt_algorithm=algorithm)


@pytest.mark.parametrize("org_id", ["", "a", "org_", "org_a b", "ORG_a"])
def test_only_organizations_get_organization_tokens(org_id: str) -> None:
    with pytest.raises(ConfigError, match="organization id"):
        mint_org_token(settings(), org_id, now_ms=START_MS)
