"""The secrets of providers as text: what they look like, and the HMAC keys behind them.

The same look means different bytes at different providers, so nothing is guessed from a prefix: a
scheme says what its secrets are. A text of another kind is refused with a sentence that says where
the right one is, and never with the text.
"""

from binascii import a2b_base64, a2b_hex, b2a_base64
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from ringback.errors import SecretError
from ringback.sign.hmac_key import Algorithm, HmacKey, hmac_key
from ringback.sign.scheme import KEYS_CACHED_MAX, KeyPair

SECRET_CHARS_MAX: Final = 8_192


class SecretText(Struct, frozen=True):
    """What a provider's secrets look like.

    says       where its pages show it, as the end of "give …"
    prefix     what every secret begins with; it is part of the key in the form `text`
    not_these  what other credentials of the provider begin with, which are mistaken for it
    form       how the text becomes key bytes: its UTF-8, or what stands behind the prefix decoded
    """

    says: str
    prefix: str = ""
    not_these: tuple[str, ...] = ()
    form: Literal["text", "hex", "base64"] = "text"

    def check(self, text: str) -> None:
        """Raises SecretError for a text that cannot be one of these secrets."""
        check_text(text, self.says)
        if text.startswith(self.not_these) or not text.startswith(self.prefix):
            what = f" that begins with {self.prefix}" if self.prefix else ""
            raise SecretError(f"this is another credential; give {self.says}{what}")

    def raw(self, text: str) -> bytes:
        """The key's bytes. Raises SecretError as `check` does, and if it cannot be decoded."""
        self.check(text)
        if self.form == "text":
            return text.encode("utf-8", "surrogatepass")
        rest = text.removeprefix(self.prefix)
        try:
            return a2b_hex(rest) if self.form == "hex" else a2b_base64(rest, strict_mode=True)
        except ValueError:
            raise SecretError(f"the secret is not {self.form}; give {self.says}") from None

    def keys(self, random_bytes: bytes) -> KeyPair:
        """A secret of this kind, for tests."""
        encoded = random_bytes.hex()
        if self.form == "base64":
            encoded = b2a_base64(random_bytes, newline=False).decode()
        return KeyPair(self.prefix + encoded, self.prefix + encoded)


def key_reader(secret: SecretText, algorithm: Algorithm) -> Callable[[str], HmacKey]:
    """From a secret's text to its key, remembered; raises SecretError as `SecretText.raw`.

    See `sign.secret` on what it means to keep secrets in a cache.
    """

    @lru_cache(maxsize=KEYS_CACHED_MAX)
    def read(text: str) -> HmacKey:
        return hmac_key(secret.raw(text), algorithm)

    return read


def check_text(text: str, says: str) -> None:
    """Raises SecretError for a text that is no secret of anybody: empty, huge, or with a line end.

    A line break at the end is what a file or `echo` leaves behind, and is never part of a secret.
    """
    if not text:
        raise SecretError(f"the secret is empty; give {says}")
    if len(text) > SECRET_CHARS_MAX:
        raise SecretError(f"the secret exceeds {SECRET_CHARS_MAX} characters; give {says}")
    if text != text.strip():
        raise SecretError("the secret has a line break or a space around it; give it without")
