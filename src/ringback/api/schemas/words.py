"""The words that requests are made of: names, ids, channels, limits, each with its rule.

The rules are those of the Svix API. A pattern that a value breaks is explained by its sentence in
`SENTENCES`, not shown to the caller as a regular expression.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Raw, UnsetType

NAME_CHARS_MAX: Final = 1_024
DESCRIPTION_CHARS_MAX: Final = 16_384
UID_CHARS_MAX: Final = 256
CHANNEL_CHARS_MAX: Final = 128
CHANNELS_MAX: Final = 10
EVENT_TYPES_MAX: Final = 1_000
METADATA_BYTES_MAX: Final = 4_096
THROTTLE_RATE_MAX: Final = 65_535
PAGE_ROWS: Final = 50
PAGE_ROWS_MAX: Final = 250
ITERATOR_CHARS_MAX: Final = UID_CHARS_MAX + 1

# `$` alone would let a trailing line break pass.
END: Final = r"(?!\n)$"
PLAIN: Final = r"[a-zA-Z0-9\-_.]+" + END
UID: Final = "^" + PLAIN
APP_UID: Final = "^(?!app_)" + PLAIN
ENDPOINT_UID: Final = "^(?!ep_)" + PLAIN
EVENT_ID: Final = "^(?!msg_)" + PLAIN
CHANNEL: Final = r"^[a-zA-Z0-9\-_.:+]+" + END
TEXT: Final = r"^[^\x00-\x08]*" + END.removeprefix(r"(?!\n)")
SESSION: Final = r"^[a-zA-Z0-9@_\-]+" + END

_PLAIN_WORDS: Final = "use letters, digits, hyphens, underscores and dots"
SENTENCES: Final = {
    UID: _PLAIN_WORDS,
    APP_UID: f"{_PLAIN_WORDS}, and do not begin with app_, which marks ids",
    ENDPOINT_UID: f"{_PLAIN_WORDS}, and do not begin with ep_, which marks ids",
    EVENT_ID: f"{_PLAIN_WORDS}, and do not begin with msg_, which marks ids",
    CHANNEL: f"{_PLAIN_WORDS}, colons and plus signs",
    TEXT: "remove the control characters (0x00 to 0x08)",
    SESSION: "use letters, digits, @, underscores and hyphens",
}


def uid(pattern: str, about: str) -> Meta:
    return Meta(pattern=pattern, min_length=1, max_length=UID_CHARS_MAX, description=about)


def shown_as(**extra: Any) -> Meta:
    """Words for the documentation only."""
    return Meta(extra_json_schema=extra)


DEPRECATED: Final = shown_as(deprecated=True)

Instant = Annotated[str, shown_as(format="date-time", examples=["2026-01-31T12:00:00.123Z"])]
Moment = Annotated[datetime, Meta(description="RFC 3339; without an offset it is taken as UTC.")]

Name = Annotated[str, Meta(pattern=TEXT, min_length=1, max_length=NAME_CHARS_MAX)]
Description = Annotated[str, Meta(pattern=TEXT, max_length=DESCRIPTION_CHARS_MAX)]
AppUid = Annotated[str, uid(APP_UID, "Your own id of the application, unique in the organization.")]
EndpointUid = Annotated[
    str, uid(ENDPOINT_UID, "Your own id of the endpoint, unique in the application.")
]
EventId = Annotated[
    str,
    uid(EVENT_ID, "Your own id of the message; another one with it is refused while this is kept."),
]
EventTypeName = Annotated[str, uid(UID, "The name of an event type."), shown_as(examples=["a.b"])]
FeatureFlag = Annotated[str, uid(UID, "The name of a feature flag.")]
Channel = Annotated[str, Meta(pattern=CHANNEL, min_length=1, max_length=CHANNEL_CHARS_MAX)]
Channels = Annotated[
    list[Channel],
    Meta(min_length=1, max_length=CHANNELS_MAX, description="Labels that endpoints filter by."),
]
EventTypes = Annotated[
    list[EventTypeName],
    Meta(max_length=EVENT_TYPES_MAX, description="Event types to receive; empty or null for all."),
]
ThrottleRate = Annotated[
    int, Meta(ge=1, le=THROTTLE_RATE_MAX, description="Deliveries a second, at most.")
]
Metadata = Annotated[
    dict[str, str],
    Meta(description=f"Your own notes: text by name, at most {METADATA_BYTES_MAX} bytes of JSON."),
]

Payload = Annotated[
    Raw,
    Meta(description="A JSON object. Sent and signed byte for byte as it was posted."),
    shown_as(type="object", additionalProperties=True),
]

Limit = Annotated[int, Meta(ge=1, le=PAGE_ROWS_MAX, description="Rows of a page.")]
Iterator = Annotated[
    str,
    Meta(
        max_length=ITERATOR_CHARS_MAX,
        description="`iterator` or `prevIterator` of the page before.",
    ),
]
Order = Literal["ascending", "descending"]
Before = Annotated[Moment, Meta(description="Only what was created before this instant.")]
After = Annotated[
    Moment,
    Meta(description="Only what was created after this instant; without `iterator`, oldest first."),
]
EventTypesQuery = Annotated[
    list[EventTypeName],
    Meta(description="Only these event types, separated by commas or repeated."),
]
ChannelQuery = Annotated[Channel, Meta(description="Only messages with this channel.")]
TagQuery = Annotated[str, Meta(description="Not supported: use channels."), DEPRECATED]
WithContent = Annotated[bool, Meta(description="false leaves the content out.")]

Absent = UnsetType


def given(value: object) -> bool:
    """Whether a field of a PATCH was sent at all."""
    return value is not UNSET
