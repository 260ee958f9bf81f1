"""What an application's own token is asked for with, and how it is handed out."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from ringback.api.access import Capability
from ringback.api.schemas.application import ApplicationIn
from ringback.api.schemas.words import SESSION, FeatureFlag

EXPIRY_S: Final = 604_800
EXPIRY_S_MIN: Final = 3_600
FEATURE_FLAGS_MAX: Final = 25


class AppPortalAccessIn(Struct, frozen=True, kw_only=True, rename="camel"):
    feature_flags: Annotated[list[FeatureFlag], Meta(max_length=FEATURE_FLAGS_MAX)] | None = None
    application: Annotated[
        ApplicationIn | None,
        Meta(description="Creates the application if the path names none; its uid is the path's."),
    ] = None
    expiry: Annotated[
        Annotated[int, Meta(ge=EXPIRY_S_MIN, le=EXPIRY_S)] | None,
        Meta(description="Seconds that the token is good for; a week unless given."),
    ] = None
    capabilities: Annotated[
        list[Capability] | None, Meta(description="What the token may do; everything unless given.")
    ] = None
    read_only: Annotated[bool | None, Meta(description="The same as capabilities: [ViewBase].")] = (
        None
    )
    session_id: Annotated[str, Meta(pattern=SESSION, min_length=1, max_length=64)] | None = None


class AppPortalAccessOut(Struct, frozen=True, kw_only=True, rename="camel"):
    url: str
    token: str
