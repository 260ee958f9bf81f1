"""Messages as they are looked at. How they are taken in is in `message_create.py`."""

from typing import Final

from msgspec import Raw

from ringback.api import application
from ringback.api.call import Answer, Call, reply, rfc3339, to_ms
from ringback.api.paging import listed, page
from ringback.api.schemas.message import (
    ContentQuery,
    MessageListQuery,
    MessageOut,
    MessagePrecheckIn,
    MessagePrecheckOut,
)
from ringback.errors import Invalid, NotFound
from ringback.model import Application, Message
from ringback.rules.routing import select
from ringback.store.port import MessageFilter

EXPIRED: Final = Raw(b'{"expired":true}')
LEFT_OUT: Final = Raw(b"{}")


async def list_all(call: Call[MessageListQuery, None]) -> Answer:
    app = await application.of_call(call)
    query = call.query
    refuse_tag(query.tag)
    asked = page(query.limit, query.iterator, prefix="msg", from_oldest=query.after is not None)
    where = MessageFilter(
        channel=query.channel,
        before_ms=None if query.before is None else to_ms(query.before),
        after_ms=None if query.after is None else to_ms(query.after),
        event_types=None if query.event_types is None else tuple(query.event_types),
        with_payload=query.with_content,
    )
    found = await call.services.store.history.list_messages(app.id, asked, where)
    return reply(
        200,
        listed(
            found,
            lambda message: shown(message, with_content=query.with_content),
            key=lambda message: message.id,
        ),
    )


async def get(call: Call[ContentQuery, None]) -> Answer:
    app = await application.of_call(call)
    message = await find(call, app, call.path["msg_id"])
    return reply(200, shown(message, with_content=call.query.with_content))


async def expunge(call: Call[None, None]) -> Answer:
    app = await application.of_call(call)
    await call.services.store.history.expunge_message(app.id, call.path["msg_id"])
    return Answer(204)


async def precheck(call: Call[None, MessagePrecheckIn]) -> Answer:
    app = await application.of_call(call)
    routing = await call.services.store.path.routing(app.org_id, app.id)
    if routing is None:
        raise NotFound
    wanted = select(routing.endpoints, call.body.event_type, call.body.channels)
    return reply(200, MessagePrecheckOut(active=bool(wanted)))


# ---- for the other resources --------------------------------------------------------------------


async def find(call: Call[object, object], app: Application, ref: str) -> Message:
    """A message by id or event id. Raises NotFound."""
    message = await call.services.store.history.get_message(app.id, ref)
    if message is None:
        raise NotFound
    return message


def shown(message: Message, *, with_content: bool) -> MessageOut:
    return MessageOut(
        id=message.id,
        event_id=message.event_id,
        event_type=message.event_type,
        channels=None if message.channels is None else list(message.channels),
        payload=payload_of(message, with_content=with_content),
        timestamp=rfc3339(message.created_at_ms),
    )


def payload_of(message: Message, *, with_content: bool) -> Raw:
    """The payload as it was posted; a placeholder when it is left out or gone."""
    if not with_content:
        return LEFT_OUT
    return EXPIRED if message.payload is None else Raw(message.payload)


def refuse_tag(tag: str | None) -> None:
    """Answering as if there were no filter would show more than was asked for."""
    if tag is not None:
        raise Invalid("messages have no tags here; filter by channel", loc=("query", "tag"))
