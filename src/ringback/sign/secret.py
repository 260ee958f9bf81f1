"""Signing secrets as text, and the keys behind them.

    whsec_<base64 of 24 to 75 bytes>             HMAC-SHA256, shared with the receiver
    whsk_<base64 of seed ‖ public, 64 bytes>     Ed25519, kept by the sender
    whpk_<base64 of the public key, 32 bytes>    Ed25519, given to the receiver

A `whsk_` of a bare 32-byte seed is read too, but never made.

(Standard Webhooks 1.0.0, "Signature scheme"; the layout of `whsk_` is Svix's and libsodium's.)

Reading is strict: a secret that another implementation could read differently is refused here, not
discovered by the receiver. No error, repr or exception attribute made here contains a secret.

Parsed keys are remembered, so that a delivery does not pay for parsing. The cache is keyed by the
secret's text, which puts secrets in this process's memory for longer than one call. That is no new
exposure: the routing cache holds the same texts for as long, and whoever reads this memory reads
both. Nothing is written anywhere.
"""

from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ringback.errors import SecretError
from ringback.model import SignatureType
from ringback.sign.hmac_key import HmacKey, hmac_key

if TYPE_CHECKING:  # who only verifies HMAC need not load it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HMAC_PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"

RANDOM_BYTES: Final = 32
HMAC_BYTES_MIN: Final = 24
# Standard Webhooks stops at 64 bytes, but Svix takes up to 100 base64 characters, which are 75
# bytes: a secret that moves here from there must keep working.
HMAC_BYTES_MAX: Final = 75
SEED_BYTES: Final = 32
SECRET_CHARS_MAX: Final = len(HMAC_PREFIX) + 100

# About 700 bytes a key, so 3 MB when full. A miss costs a parse, some 10 µs, never a wrong key.
KEYS_CACHED_MAX: Final = 4_096

_EMPTY: Final = "the signing secret is empty; give one, or leave it out to get a new one"


class Ed25519Key(Struct, frozen=True, eq=False):
    """An Ed25519 key pair; `public` is the raw 32 bytes that receivers may know."""

    private: "Ed25519PrivateKey"
    public: bytes

    def sign(self, *parts: bytes) -> bytes:
        """The 64-byte signature of the parts joined. Deterministic (RFC 8032)."""
        return self.private.sign(b"".join(parts))

    def __repr__(self) -> str:
        return "Ed25519Key(…)"


Key = HmacKey | Ed25519Key


def generate(kind: SignatureType, random_bytes: bytes) -> str:
    """A new secret from `RANDOM_BYTES` random bytes. Raises SecretError for any other count.

    HMAC256 encodes the bytes themselves, ED25519 takes them as the seed.
    """
    if len(random_bytes) != RANDOM_BYTES:
        raise SecretError(
            f"a new secret is made from {RANDOM_BYTES} random bytes, not {len(random_bytes)}"
        )
    match kind:
        case SignatureType.HMAC256:
            return HMAC_PREFIX + _encoded(random_bytes)
        case SignatureType.ED25519:
            return PRIVATE_PREFIX + _encoded(random_bytes + _key_pair(random_bytes).public)


def parse(text: str) -> Key:
    """The key behind a `whsec_…` or `whsk_…` text. Raises SecretError, which says what is wrong."""
    return _parse(text)


def public_text(text: str) -> str:
    """What an API may show to the endpoint's owner: all of a shared secret, half of a key pair.

    An HMAC secret is returned as it is, because the receiver needs it; of an Ed25519 key only the
    `whpk_…` half. Raises SecretError as `parse` does.
    """
    key = parse(text)
    return text if isinstance(key, HmacKey) else PUBLIC_PREFIX + _encoded(key.public)


def verbatim_key(text: str) -> HmacKey:
    """The HMAC key of schemes that use the UTF-8 bytes of the whole text, prefix included.

    Any text that is not empty will do: what a secret may look like is the caller's rule. Raises
    SecretError for an empty one, whose signatures anybody could make.
    """
    return _verbatim_key(text)


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _verbatim_key(text: str) -> HmacKey:
    # A lone surrogate is encoded rather than refused: a UnicodeEncodeError would carry the secret.
    return hmac_key(text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _parse(text: str) -> Key:
    _check_text(text)
    if text.startswith(HMAC_PREFIX):
        return _parse_hmac(_decoded(text.removeprefix(HMAC_PREFIX)))
    if text.startswith(PRIVATE_PREFIX):
        return _parse_ed25519(_decoded(text.removeprefix(PRIVATE_PREFIX)))
    if text.startswith(PUBLIC_PREFIX):
        raise SecretError("a public key (whpk_…) cannot sign; give the private key, whsk_…")
    raise SecretError(
        "a signing secret starts with whsec_ (HMAC) or whsk_ (Ed25519); this one with neither"
    )


def _check_text(text: str) -> None:
    if not text:
        raise SecretError(_EMPTY)
    if len(text) > SECRET_CHARS_MAX:
        raise SecretError(
            f"a signing secret has at most {SECRET_CHARS_MAX} characters, this one {len(text)};"
            " give a shorter one"
        )
    if text != text.strip():
        raise SecretError(
            "the signing secret has a line break or a space around it; give it without"
        )
    if not text.isascii():
        raise SecretError(
            "the signing secret has characters other than ASCII; after its prefix it is base64"
        )


def _decoded(encoded: str) -> bytes:
    """Standard base64 with padding, in its one canonical spelling."""
    try:
        raw = b64decode(encoded, validate=True)
    except ValueError:
        raw = b""
    if _encoded(raw) != encoded:
        raise SecretError(
            "after its prefix a signing secret is standard base64 with padding"
            " (A-Z a-z 0-9 + / =); this one is not"
        )
    return raw


def _encoded(raw: bytes) -> str:
    return b64encode(raw).decode()


def _parse_hmac(raw: bytes) -> HmacKey:
    if not HMAC_BYTES_MIN <= len(raw) <= HMAC_BYTES_MAX:
        raise SecretError(
            f"a whsec_ secret holds {HMAC_BYTES_MIN} to {HMAC_BYTES_MAX} bytes in base64,"
            f" this one {len(raw)}; 32 random bytes are a good choice"
        )
    return hmac_key(raw)


def _parse_ed25519(raw: bytes) -> Ed25519Key:
    if len(raw) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise SecretError(
            "a whsk_ key holds 64 bytes (seed and public key) or 32 (seed) in base64,"
            f" this one {len(raw)}; generate a new key pair"
        )
    key = _key_pair(raw[:SEED_BYTES])
    if raw[SEED_BYTES:] not in (b"", key.public):
        raise SecretError(
            "the two halves of the whsk_ key do not belong together; generate a new key pair"
        )
    return key


def _key_pair(seed: bytes) -> Ed25519Key:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Ed25519Key(private, private.public_key().public_bytes_raw())
