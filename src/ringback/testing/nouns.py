"""Nouns with nothing special about them; a test names what matters to it.

endpoint(app_id=app.id, url=receiver.url(), throttle_rate=5)
"""

from typing import Any, Final

import msgspec

from ringback.model import Endpoint, Secret, SignatureScheme

SECRET: Final = "whsec_" + "A" * 32

_ENDPOINT: Final = Endpoint(
    id="ep_1",
    app_id="app_1",
    uid=None,
    url="https://shop.example/webhooks",
    description="",
    is_disabled=False,
    event_types=None,
    channels=None,
    throttle_rate=None,
    metadata={},
    headers={},
    secrets=(Secret(SECRET),),
    signature_scheme=SignatureScheme.STANDARD,
    retry=None,
    failing_since_ms=None,
    version=1,
    created_at_ms=0,
    updated_at_ms=0,
)


def endpoint(**columns: Any) -> Endpoint:
    """One that takes everything. Raises TypeError for a column that endpoints do not have."""
    return msgspec.structs.replace(_ENDPOINT, **columns)
