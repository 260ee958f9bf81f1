"""Tokens: which are believed, for how long, and what is remembered of them."""

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

from ringback.api import auth
from ringback.api.access import Capability
from ringback.api.auth import LEEWAY_S, Tokens, mint_app_token, mint_org_token
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError, Unauthenticated

KEY = "a key for tests, long enough for HS256 to be happy"
NOW_S = 1_800_000_000


class Stopped(Clock):
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s = NOW_S

    def now_ms(self) -> int:
        return self.at_s * 1000


def tokens(**changes: Any) -> tuple[Tokens, Stopped]:
    clock = Stopped()
    return Tokens(Settings(**({"jwt_secret": KEY} | changes)), clock), clock


def header(**claims: Any) -> bytes:
    return b"Bearer " + jwt.encode({"sub": "org_a", **claims}, KEY).encode()


def is_believed(believer: Tokens, authorization: bytes) -> bool:
    try:
        believer.principal(authorization)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize(
    ("claims", "is_good"),
    [
        ({}, True),
        ({"exp": NOW_S + 1}, True),
        ({"exp": NOW_S - LEEWAY_S}, True),
        ({"exp": NOW_S - LEEWAY_S - 1}, False),
        ({"iat": NOW_S + LEEWAY_S}, True),
        ({"iat": NOW_S + LEEWAY_S + 1}, False),
        ({"nbf": NOW_S}, True),
        ({"nbf": NOW_S + 1}, False),
        ({"exp": NOW_S + 0.5, "iss": "svix-server", "aud": "anybody"}, True),
    ],
)
def test_a_token_is_good_within_its_times(claims: dict[str, Any], is_good: bool) -> None:
    believer, _ = tokens()
    assert is_believed(believer, header(**claims)) is is_good


def test_what_is_remembered_does_not_outlive_the_token() -> None:
    believer, clock = tokens(token_cache_s=1_000_000)
    token = header(exp=NOW_S + 10)
    assert is_believed(believer, token)
    clock.at_s += 10 + LEEWAY_S + 1
    assert not is_believed(believer, token)


def test_what_is_remembered_is_not_checked_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    believer, clock = tokens(token_cache_s=60)
    checks: list[object] = []
    real = Tokens._read

    def counted(self: Tokens, token: bytes) -> auth.Claims:
        checks.append(token)
        return real(self, token)

    monkeypatch.setattr(Tokens, "_read", counted)
    for _ in range(3):
        believer.principal(header())
    assert len(checks) == 1
    clock.at_s += 61
    believer.principal(header())
    assert len(checks) == 2


def test_only_so_many_are_remembered_and_no_refused_one() -> None:
    believer, _ = tokens(token_cache_max=3)
    for number in range(10):
        believer.principal(header(sub=f"org_{number}"))
        assert not is_believed(believer, b"Bearer garbage%d" % number)
    assert len(believer._kept) == 3


@pytest.mark.parametrize(
    "sub", ["org_", "ORG_a", "app_a", "org_a b", "org_a\n", "org_" + "a" * 253, "", "org_\u00e9"]
)
def test_an_organization_has_an_id_like_one(sub: str) -> None:
    believer, _ = tokens()
    assert not is_believed(believer, header(sub=sub))


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_the_scheme_may_be_in_any_case(scheme: bytes) -> None:
    believer, _ = tokens()
    assert is_believed(believer, scheme + b" " + header().removeprefix(b"Bearer "))


def test_sending_the_key_itself_is_answered_with_a_warning() -> None:
    believer, _ = tokens()
    with pytest.raises(Unauthenticated, match="change it"):
        believer.principal(b"Bearer " + KEY.encode())


def test_what_an_application_token_says_is_what_it_was_made_for() -> None:
    believer, _ = tokens()
    token = mint_app_token(
        Settings(jwt_secret=KEY),
        "org_a",
        app_id="app_b",
        now_ms=NOW_S * 1000,
        expiry_s=3_600,
        feature_flags=("beta",),
        capabilities=(Capability.VIEW_BASE,),
        session="s",
    )
    principal = believer.principal(f"Bearer {token}".encode())
    assert (principal.org_id, principal.app_id, principal.subject) == ("org_a", "app_b", "app_b")
    assert principal.feature_flags == ("beta",)
    assert principal.capabilities == frozenset({Capability.VIEW_BASE})


# ---- keys ---------------------------------------------------------------------------------------


def pem_pair(algorithm: str) -> tuple[str, str]:
    if algorithm == "EdDSA":
        key: Any = Ed25519PrivateKey.generate()
    else:
        key = generate_private_key(65_537, 2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_private_key_makes_tokens_that_its_public_half_verifies(algorithm: str) -> None:
    private, public = pem_pair(algorithm)
    maker = Settings(jwt_secret=private, jwt_algorithm=algorithm)  # type: ignore[arg-type]
    token = mint_org_token(maker, "org_a", now_ms=NOW_S * 1000)
    for key in (private, public):
        believer, _ = tokens(jwt_secret=key, jwt_algorithm=algorithm)
        assert believer.principal(f"Bearer {token}".encode()).org_id == "org_a"
    reader = Settings(jwt_secret=public, jwt_algorithm=algorithm)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="verifies tokens but cannot make them"):
        mint_org_token(reader, "org_a", now_ms=NOW_S * 1000)


def test_a_public_key_is_not_taken_for_a_shared_one() -> None:
    """The algorithm is the settings', never the token's."""
    _, public = pem_pair("RS256")
    believer, _ = tokens(jwt_secret=public, jwt_algorithm="RS256")
    forged = jwt.api_jws.PyJWS().encode(b'{"sub":"org_a"}', b"x" * 32, algorithm="HS256")
    assert not is_believed(believer, f"Bearer {forged}".encode())


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_key_that_is_none_is_said_at_once(algorithm: str) -> None:
    with pytest.raises(ConfigError, match="PEM"):
        tokens(jwt_secret="not a key", jwt_algorithm=algorithm)


def test_without_a_key_nothing_starts() -> None:
    with pytest.raises(ConfigError, match="openssl rand"):
        tokens(jwt_secret="")


@pytest.mark.parametrize("org_id", ["", "a", "app_a", "org_", "org_a b"])
def test_no_token_is_made_for_what_is_no_organization(org_id: str) -> None:
    with pytest.raises(ConfigError, match="organization id"):
        mint_org_token(Settings(jwt_secret=KEY), org_id, now_ms=0)
