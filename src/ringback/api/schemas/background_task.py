"""Background tasks as they are shown."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from ringback.api.schemas.words import Instant
from ringback.model import TaskStatus


class BackgroundTaskOut(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    task: str
    status: TaskStatus
    data: Annotated[dict[str, Any], Meta(description="What it was asked, and its progress.")]
    updated_at: Instant
