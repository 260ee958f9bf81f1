"""Which endpoints a message goes to.

An endpoint gets a message when it is enabled, its event types are unset or name the message's, and
its channels are unset or share one with the message's. So a message without channels does not reach
an endpoint that has some.
"""

from collections.abc import Sequence

from ringback.model import Endpoint


def select(
    endpoints: Sequence[Endpoint], event_type: str, channels: Sequence[str] | None
) -> tuple[Endpoint, ...]:
    return tuple(
        endpoint for endpoint in endpoints if is_wanted(endpoint, event_type, channels or ())
    )


def is_wanted(endpoint: Endpoint, event_type: str, channels: Sequence[str]) -> bool:
    if endpoint.is_disabled:
        return False
    if endpoint.event_types and event_type not in endpoint.event_types:
        return False
    return not endpoint.channels or any(channel in endpoint.channels for channel in channels)
