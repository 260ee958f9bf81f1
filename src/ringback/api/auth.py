"""Bearer tokens: JSON Web Tokens whose algorithm the settings fix, not the token.

    organization token    sub = org_…
    application token     sub = app_…, org = org_…, and what it is limited to

`exp` is good for another 15 minutes, `iat` may lie 15 minutes ahead, `nbf` may not lie ahead. Any
`org_…` that is signed is an organization. There is no list of tokens, so none can be taken back
before it expires. Verified tokens are remembered for a short time, never beyond their expiry.
"""

import hmac
import re
from typing import Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt.api_jws import PyJWS
from msgspec import Struct

from ringback.api.access import Capability, Principal
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError, Unauthenticated

LEEWAY_S: Final = 900
ORG_TOKEN_S: Final = 10 * 365 * 86_400
TOKEN_BYTES_MAX: Final = 8_192
ISSUER: Final = "ringback"

_ORG_ID: Final = re.compile(r"org_[a-zA-Z0-9\-_.]{1,252}")
_APP_ID: Final = re.compile(r"app_[a-zA-Z0-9\-_.]{1,252}")
_INVALID: Final = "Invalid token"
_IS_THE_KEY: Final = (
    "The bearer token is the JWT secret itself. Keep it to yourself, change it, and make a token"
    " with `ringback token`."
)


class Claims(Struct, frozen=True, omit_defaults=True):
    """The claims that are read; all others are ignored."""

    sub: str
    org: str | None = None
    iss: str | None = None
    iat: float | None = None
    nbf: float | None = None
    exp: float | None = None
    feature_flags: list[str] = []
    capabilities: list[Capability] | None = None
    session: str | None = None


_claims: Final = msgspec.json.Decoder(Claims)
_jws: Final = PyJWS()


class Tokens:
    """Verifies tokens and remembers the verified ones.

    Raises ConfigError at once when the key is missing or unfit.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._secret = settings.jwt_secret.encode()
        self._algorithm = settings.jwt_algorithm
        self._key = _verifying_key(settings)
        self._now_ms = clock.now_ms
        self._kept_ms = settings.token_cache_s * 1000
        self._kept_max = settings.token_cache_max
        self._kept: dict[bytes, tuple[Principal, float]] = {}

    def principal(self, authorization: bytes | None) -> Principal:
        """Who the `Authorization` header speaks for. Raises Unauthenticated."""
        if authorization is None:
            raise Unauthenticated(
                "Send a token: Authorization: Bearer …; `ringback token` prints one."
            )
        kept = self._kept.get(authorization)
        now_ms = self._now_ms()
        if kept is not None and now_ms < kept[1]:
            return kept[0]
        return self._verify(authorization, now_ms)

    def _verify(self, authorization: bytes, now_ms: int) -> Principal:
        scheme, _, token = authorization.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not 0 < len(token) <= TOKEN_BYTES_MAX:
            raise Unauthenticated("The Authorization header must be: Bearer, a space, a token.")
        if hmac.compare_digest(token, self._secret):
            raise Unauthenticated(_IS_THE_KEY)
        claims = self._read(token)
        principal = _principal(claims, now_ms / 1000)
        self._keep(authorization, principal, now_ms=now_ms, claims=claims)
        return principal

    def _read(self, token: bytes) -> Claims:
        try:
            payload = _jws.decode(token, self._key, algorithms=[self._algorithm])
            return _claims.decode(payload)
        except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, TypeError, RecursionError):
            # PyJWT lets the last three escape for some malformed headers.
            raise Unauthenticated(_INVALID) from None

    def _keep(
        self, authorization: bytes, principal: Principal, *, now_ms: int, claims: Claims
    ) -> None:
        until_ms = now_ms + self._kept_ms
        if claims.exp is not None:
            until_ms = min(until_ms, (claims.exp + LEEWAY_S) * 1000)
        self._kept.pop(authorization, None)
        while len(self._kept) >= self._kept_max:
            del self._kept[next(iter(self._kept))]
        self._kept[authorization] = (principal, until_ms)


def _principal(claims: Claims, now_s: float) -> Principal:
    if claims.exp is not None and now_s > claims.exp + LEEWAY_S:
        raise Unauthenticated("The token has expired; get a new one.")
    if claims.iat is not None and claims.iat > now_s + LEEWAY_S:
        raise Unauthenticated(_INVALID)
    if claims.nbf is not None and claims.nbf > now_s:
        raise Unauthenticated("The token is not valid yet (nbf).")
    if claims.org is None:
        if not _ORG_ID.fullmatch(claims.sub):
            raise Unauthenticated(_INVALID)
        return Principal(org_id=claims.sub)
    if not (_ORG_ID.fullmatch(claims.org) and _APP_ID.fullmatch(claims.sub)):
        raise Unauthenticated(_INVALID)
    return Principal(
        org_id=claims.org,
        app_id=claims.sub,
        feature_flags=tuple(claims.feature_flags),
        capabilities=None if claims.capabilities is None else frozenset(claims.capabilities),
    )


def mint_org_token(
    settings: Settings, org_id: str, *, now_ms: int, expiry_s: int = ORG_TOKEN_S
) -> str:
    """A token for everything of one organization. Raises ConfigError, also for a malformed id."""
    if not _ORG_ID.fullmatch(org_id):
        raise ConfigError(
            f"{org_id!r} is not an organization id: org_ and then letters, digits, - _ or ."
        )
    return _mint(settings, Claims(sub=org_id), now_ms=now_ms, expiry_s=expiry_s)


def mint_app_token(
    settings: Settings,
    org_id: str,
    *,
    app_id: str,
    now_ms: int,
    expiry_s: int,
    feature_flags: tuple[str, ...] = (),
    capabilities: tuple[Capability, ...] | None = None,
    session: str | None = None,
) -> str:
    """A token for one application. Raises ConfigError."""
    claims = Claims(
        sub=app_id,
        org=org_id,
        feature_flags=list(feature_flags),
        capabilities=None if capabilities is None else list(capabilities),
        session=session,
    )
    return _mint(settings, claims, now_ms=now_ms, expiry_s=expiry_s)


def _mint(settings: Settings, claims: Claims, *, now_ms: int, expiry_s: int) -> str:
    now_s = now_ms // 1000
    claims = msgspec.structs.replace(claims, iss=ISSUER, iat=now_s, nbf=now_s, exp=now_s + expiry_s)
    return _jws.encode(
        msgspec.json.encode(claims), _signing_key(settings), algorithm=settings.jwt_algorithm
    )


def _verifying_key(settings: Settings) -> bytes:
    """What PyJWT verifies with: the secret itself, or the public key as PEM."""
    secret = _secret(settings)
    if settings.jwt_algorithm.startswith("HS"):
        return secret
    try:
        key = _public_key(secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"jwt_secret must be a PEM key: {error}") from None
    kind = Ed25519PublicKey if settings.jwt_algorithm == "EdDSA" else RSAPublicKey
    if not isinstance(key, kind):
        raise ConfigError(
            f"jwt_secret is not a key for {settings.jwt_algorithm}; change it or jwt_algorithm"
        )
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _public_key(pem: bytes) -> PublicKeyTypes:
    if b"PRIVATE KEY" in pem:
        return load_pem_private_key(pem, password=None).public_key()
    return load_pem_public_key(pem)


def _signing_key(settings: Settings) -> bytes:
    secret = _secret(settings)
    if not settings.jwt_algorithm.startswith("HS") and b"PRIVATE KEY" not in secret:
        raise ConfigError("jwt_secret is a public key: it verifies tokens but cannot make them")
    return secret


def _secret(settings: Settings) -> bytes:
    if not settings.jwt_secret:
        raise ConfigError("jwt_secret is not set; make one with: openssl rand -base64 32")
    return settings.jwt_secret.encode()
