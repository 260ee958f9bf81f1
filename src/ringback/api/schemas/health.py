"""How the server is."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

State = Literal["ok", "error"]


class DatabaseHealthOut(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    status: State
    detail: Annotated[
        str,
        Meta(description="Why the database cannot be written, and what to do; only if it cannot."),
    ] = ""
    clock_skew_ms: Annotated[
        int,
        Meta(description="How far its clock is ahead of this node's; only if they differ."),
    ] = 0


class EngineHealthOut(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    status: State
    node: Annotated[
        str, Meta(description="Which node has answered, by its id; only while it holds a lease.")
    ] = ""
    oldest_due_age_s: Annotated[
        float, Meta(description="How long the oldest delivery that is due has been waiting.")
    ]


class HealthOut(Struct, frozen=True, kw_only=True, rename="camel"):
    database: DatabaseHealthOut
    engine: EngineHealthOut
