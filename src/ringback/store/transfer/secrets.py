"""Endpoint secrets on their way: sealed ones stay as they are, the others are sealed.

A secret is sealed for its endpoint and its application, whose ids stay; so under the same main
secret the sealed text stays good. Under another one, or none, it would never open again: then
nothing is moved.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ringback.clock import Clock
from ringback.errors import ConfigError, SecretError
from ringback.sign.sealing import NONCE_BYTES, Sealer, owner
from ringback.store.sqlite.sql import Row, as_json
from ringback.store.transfer.tables import TABLES

_ENDPOINT: Final = next(table for table in TABLES if table.name == "endpoint")
_ID, _APP_ID, _SECRETS = map(_ENDPOINT.columns.index, ("id", "app_id", "secrets"))
_SHOWN_MAX: Final = 5

_decode: Final = msgspec.json.Decoder(list[tuple[str, int | None]]).decode


class EndpointSecrets:
    """`main_secret` is that of the target."""

    def __init__(self, main_secret: str, clock: Clock) -> None:
        self._sealer = Sealer(main_secret)
        self._clock = clock

    def check(self, rows: Iterable[Row]) -> None:
        """Raises ConfigError when secrets do not open."""
        closed = []
        why = ""
        for row in rows:
            try:
                self.opened(row)
            except SecretError as error:
                closed.append(str(row[_ID]))
                why = str(error)
        if closed:
            shown = ", ".join(closed[:_SHOWN_MAX]) + (" …" if len(closed) > _SHOWN_MAX else "")
            raise ConfigError(
                f"main_secret: the secrets of {len(closed)} endpoints do not open ({shown}): {why}"
            )

    def sealed(self, row: Row) -> Row:
        """The row with every secret sealed, if there is a main secret."""
        aad = owner(str(row[_APP_ID]), str(row[_ID]))
        secrets = [(self._seal(text, aad), expiry) for text, expiry in _decode(str(row[_SECRETS]))]
        return (*row[:_SECRETS], as_json(secrets), *row[_SECRETS + 1 :])

    def opened(self, row: Row) -> Row:
        """The row with every secret open, to be compared. Raises SecretError."""
        aad = owner(str(row[_APP_ID]), str(row[_ID]))
        secrets = [
            (self._sealer.open(text, aad=aad), expiry)
            for text, expiry in _decode(str(row[_SECRETS]))
        ]
        return (*row[:_SECRETS], as_json(secrets), *row[_SECRETS + 1 :])

    def _seal(self, text: str, aad: bytes) -> str:
        try:
            return self._sealer.seal(text, aad=aad, nonce=self._clock.token_bytes(NONCE_BYTES))
        except SecretError:  # it is sealed already, and `check` has opened it
            return text
