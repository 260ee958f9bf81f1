"""Signing secrets at rest: sealed under the main secret, bound to the endpoint that owns them.

    sealed1:<key id, 8 hex digits>:<base64 of nonce ‖ ciphertext ‖ tag>

ChaCha20-Poly1305 under a key that HKDF-SHA256 derives from the main secret. The marker, the key id
and the owner are authenticated along with the text, so a sealed secret that is copied to another
endpoint, or altered, does not open. AES-GCM-SIV would forgive a repeated nonce, but OpenSSL before
3.2 lacks it, and a database must open on every machine; with random 12-byte nonces a repeat is
out of reach for fewer than 2^32 sealed secrets.

A secret that was stored before there was a main secret is read as it is. So sealing protects
against reading the database, not against somebody who can write to it.

HKDF does not slow down guessing: the main secret must be random, not a password.
"""

import re
from base64 import b64decode, b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ringback.errors import MainSecretNeeded, SecretError
from ringback.sign.secret import HMAC_PREFIX, PRIVATE_PREFIX

NONCE_BYTES: Final = 12
_MARKER: Final = "sealed1"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_UNSEALED: Final = (HMAC_PREFIX, PRIVATE_PREFIX)
_BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_FORM: Final = re.compile(rf"sealed1:([0-9a-f]{{8}}):({_BASE64})")
_FORM_OF_ANOTHER_VERSION: Final = re.compile(r"sealed(?!1:)[0-9]+:")


def owner(tenant_id: str, endpoint_id: str) -> bytes:
    """The `aad` of an endpoint's secrets. Ids never change and hold no NUL, so this is unique."""
    return f"{tenant_id}\0{endpoint_id}".encode()


def is_sealed(text: str) -> bool:
    """Whether a stored text needs a main secret to be read."""
    return not text.startswith(_UNSEALED)


class Sealer:
    """Seals and opens signing secrets. Holds derived keys only; `repr` shows none of them.

    With an empty main secret nothing is sealed and sealed texts do not open.
    """

    __slots__ = ("_cipher", "_key_id")

    def __init__(self, main_secret: str) -> None:
        # Environment variables may hold any bytes; Python hands the odd ones over as surrogates.
        raw = main_secret.encode("utf-8", "surrogateescape")
        self._cipher: Final = ChaCha20Poly1305(_derived(raw, b"key", _KEY_BYTES)) if raw else None
        self._key_id: Final = _derived(raw, b"key id", _KEY_ID_BYTES).hex() if raw else ""

    def seal(self, text: str, *, aad: bytes, nonce: bytes) -> str:
        """The text as it is stored; unchanged without a main secret.

        `aad` comes from `owner`; `nonce` is `NONCE_BYTES` random bytes, new for every call.
        Raises SecretError if the text is not a signing secret (sealed already, for example), and
        ValueError for a nonce of another length.
        """
        if not text.startswith(_UNSEALED):
            raise SecretError("only a signing secret (whsec_… or whsk_…) can be sealed")
        if self._cipher is None:
            return text
        head = f"{_MARKER}:{self._key_id}:"
        ciphertext = self._cipher.encrypt(nonce, text.encode(), head.encode() + aad)
        return head + b64encode(nonce + ciphertext).decode()

    def open(self, sealed: str, *, aad: bytes) -> str:
        """The secret behind a stored text; one that was never sealed is returned as it is.

        Raises MainSecretNeeded if it was sealed with another main secret, SecretError if for
        another owner, by a newer version, or if it is damaged.
        """
        if sealed.startswith(_UNSEALED):
            return sealed
        key_id, ciphertext = _split(sealed)
        if self._cipher is None:
            raise MainSecretNeeded(
                f"the stored secret is sealed with main_secret {key_id} and none is set;"
                " start with that one"
            )
        if key_id != self._key_id:
            raise MainSecretNeeded(
                f"the stored secret is sealed with another main_secret ({key_id}, this one is"
                f" {self._key_id}); start with that one"
            )
        head = f"{_MARKER}:{key_id}:".encode()
        try:
            nonce, rest = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, head + aad).decode()
        except (InvalidTag, ValueError):
            raise SecretError(
                "the stored secret was altered or belongs to another endpoint;"
                " restore it from a backup or rotate the endpoint's secret"
            ) from None

    def __repr__(self) -> str:
        return f"Sealer({'main_secret ' + self._key_id if self._cipher else 'no main_secret'})"


def _split(sealed: str) -> tuple[str, bytes]:
    """The key id and nonce ‖ ciphertext ‖ tag of a sealed text."""
    if form := _FORM.fullmatch(sealed):
        return form[1], b64decode(form[2])
    if _FORM_OF_ANOTHER_VERSION.match(sealed):
        raise SecretError(
            "the stored secret was sealed by a newer version of Ringback; upgrade to read it"
        )
    raise SecretError(
        "the stored secret is neither sealed nor a signing secret;"
        " restore it from a backup or rotate the endpoint's secret"
    )


def _derived(main_secret: bytes, purpose: bytes, length: int) -> bytes:
    info = b"ringback sealing 1 " + purpose
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(main_secret)
