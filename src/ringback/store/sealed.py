"""Whether what is sealed in a database opens with the main secret: looked at when it is opened.

When nothing does, the setting is wrong or missing, which is every tenant's matter: nothing starts.
A secret that does not open among others that do is the matter of its endpoint (`model.Secret`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from ringback.errors import MainSecretNeeded, SecretError
from ringback.sign.sealing import Sealer, is_sealed, owner

# The query is bounded too: it looks for sealed secrets among the oldest endpoints only.
SEALED_MAX: Final = 100

_decode: Final = msgspec.json.Decoder(list[tuple[str, int | None]]).decode


def check_main_secret(rows: Iterable[Sequence[Any]], sealer: Sealer) -> None:
    """`rows` are application, endpoint and secrets. Raises MainSecretNeeded if none opens, for
    want of the one main secret that they were sealed with."""
    why = ""
    for app_id, endpoint_id, text in rows:
        for sealed, _ in filter(lambda secret: is_sealed(secret[0]), _decode(text)):
            try:
                sealer.open(sealed, aad=owner(app_id, endpoint_id))
            except MainSecretNeeded as error:
                why = why or str(error)
            except SecretError:
                pass  # altered or damaged: that says nothing of the others
            else:
                return
    if why:
        raise MainSecretNeeded(why)
