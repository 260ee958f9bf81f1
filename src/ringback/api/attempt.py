"""Attempts, and how far a message got at each endpoint."""

import base64
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from ringback.api import application, endpoint, message
from ringback.api.call import Answer, Call, reply, rfc3339, to_ms
from ringback.api.paging import listed, page
from ringback.api.schemas.attempt import (
    EndpointAttemptsQuery,
    EndpointMessageOut,
    EndpointMessagesQuery,
    MessageAttemptOut,
    MessageAttemptsQuery,
    MessageEndpointOut,
    StatusText,
    TimingsOut,
)
from ringback.api.schemas.message import EmptyResponse
from ringback.api.schemas.page import PageQuery
from ringback.errors import NotFound
from ringback.model import Attempt, AttemptStatus, Endpoint, Message
from ringback.store.page import PAGE_BYTES_MAX, Slice
from ringback.store.port import AttemptFilter, MessageFilter

STATUS_TEXT: Final[Mapping[AttemptStatus, StatusText]] = {
    AttemptStatus.SUCCESS: "success",
    AttemptStatus.PENDING: "pending",
    AttemptStatus.FAIL: "fail",
    AttemptStatus.SENDING: "sending",
    AttemptStatus.CANCELED: "canceled",
}
RESPONSE_LEFT_OUT: Final = "{}"
MESSAGES_PER_READ: Final = 8


async def list_of_endpoint(call: Call[EndpointAttemptsQuery, None]) -> Answer:
    found_endpoint = await endpoint.of_call(call)
    query = call.query
    message.refuse_tag(query.tag)
    asked = page(query.limit, query.iterator, prefix="atmpt", from_oldest=query.after is not None)
    found = await call.services.store.history.list_attempts_of_endpoint(
        found_endpoint.id, asked, _filter(query)
    )
    messages: Mapping[str, Message] = {}
    if query.with_msg:
        is_reversed = asked.is_backward or asked.from_oldest
        found, messages = await _with_messages(
            call, found, is_reversed=is_reversed, with_content=query.with_content
        )
    return reply(
        200,
        listed(
            found,
            lambda attempt: shown(
                attempt, with_content=query.with_content, of=messages.get(attempt.msg_id)
            ),
            key=lambda attempt: attempt.id,
        ),
    )


async def list_of_message(call: Call[MessageAttemptsQuery, None]) -> Answer:
    app = await application.of_call(call)
    found_message = await message.find(call, app, call.path["msg_id"])
    query = call.query
    message.refuse_tag(query.tag)
    asked = page(query.limit, query.iterator, prefix="atmpt", from_oldest=query.after is not None)
    endpoint_id = None
    if query.endpoint_id is not None:
        endpoint_id = (await endpoint.find(call, app, query.endpoint_id)).id
    found = await call.services.store.history.list_attempts_of_message(
        found_message.id, asked, _filter(query, endpoint_id)
    )
    return reply(
        200,
        listed(
            found,
            lambda attempt: shown(attempt, with_content=query.with_content),
            key=lambda attempt: attempt.id,
        ),
    )


async def get(call: Call[None, None]) -> Answer:
    app = await application.of_call(call)
    found = await message.find(call, app, call.path["msg_id"])
    attempt = await call.services.store.history.get_attempt(found.id, call.path["attempt_id"])
    if attempt is None:
        raise NotFound
    return reply(200, shown(attempt, with_content=True))


async def expunge(call: Call[None, None]) -> Answer:
    app = await application.of_call(call)
    found = await message.find(call, app, call.path["msg_id"])
    await call.services.store.history.expunge_attempt(found.id, call.path["attempt_id"])
    return Answer(204)


async def list_messages(call: Call[EndpointMessagesQuery, None]) -> Answer:
    """Messages tried at an endpoint, each as far as it got there."""
    found_endpoint = await endpoint.of_call(call)
    query = call.query
    message.refuse_tag(query.tag)
    asked = page(query.limit, query.iterator, prefix="msg", from_oldest=query.after is not None)
    where = MessageFilter(
        channel=query.channel,
        before_ms=None if query.before is None else to_ms(query.before),
        after_ms=None if query.after is None else to_ms(query.after),
        event_types=None if query.event_types is None else tuple(query.event_types),
        with_payload=query.with_content,
    )
    found = await call.services.store.history.list_messages_of_endpoint(
        found_endpoint.id, asked, where, status=query.status
    )
    return reply(
        200,
        listed(
            found,
            lambda row: _shown_message(*row, with_content=query.with_content),
            key=lambda row: row[0].id,
        ),
    )


async def list_endpoints(call: Call[PageQuery, None]) -> Answer:
    """Endpoints that a message was tried at, deleted ones too."""
    app = await application.of_call(call)
    found_message = await message.find(call, app, call.path["msg_id"])
    asked = page(call.query.limit, call.query.iterator, prefix="ep")
    found = await call.services.store.history.list_endpoints_of_message(found_message.id, asked)
    return reply(200, listed(found, lambda row: _shown_endpoint(*row), key=lambda row: row[0].id))


async def resend(call: Call[None, None]) -> Answer:
    app = await application.of_call(call)
    found_message = await message.find(call, app, call.path["msg_id"])
    found_endpoint = await endpoint.find(call, app, call.path["endpoint_id"])
    await call.services.engine.resend(app, found_message, found_endpoint)
    return reply(202, EmptyResponse())


# ---- details ------------------------------------------------------------------------------------


async def _with_messages(
    call: Call[object, None], found: Slice[Attempt], *, is_reversed: bool, with_content: bool
) -> tuple[Slice[Attempt], Mapping[str, Message]]:
    """Their messages; of the attempts as many as a page has room for the payloads of."""
    rows = found.rows[::-1] if is_reversed else found.rows
    messages: dict[str, Message] = {}
    left = PAGE_BYTES_MAX
    for start in range(0, len(rows), MESSAGES_PER_READ):
        if left <= 0:
            kept = rows[:start]
            return Slice(kept[::-1] if is_reversed else kept, has_more=True), messages
        part = rows[start : start + MESSAGES_PER_READ]
        refs = {(attempt.app_id, attempt.msg_id) for attempt in part}
        read = await call.services.store.path.messages(list(refs))
        for of in read.values():
            messages[of.id] = of if with_content else replace(of, payload=None, raw_body=None)
            left -= messages[of.id].size
    return found, messages


def _filter(
    query: EndpointAttemptsQuery | MessageAttemptsQuery, endpoint_id: str | None = None
) -> AttemptFilter:
    return AttemptFilter(
        status=query.status,
        status_class=query.status_code_class,
        channel=query.channel,
        before_ms=None if query.before is None else to_ms(query.before),
        after_ms=None if query.after is None else to_ms(query.after),
        event_types=None if query.event_types is None else tuple(query.event_types),
        endpoint_id=endpoint_id,
        with_response=query.with_content,
    )


def shown(attempt: Attempt, *, with_content: bool, of: Message | None = None) -> MessageAttemptOut:
    timings = attempt.timings
    return MessageAttemptOut(
        id=attempt.id,
        msg_id=attempt.msg_id,
        endpoint_id=attempt.endpoint_id,
        url=attempt.url,
        response=_response(attempt) if with_content else RESPONSE_LEFT_OUT,
        response_status_code=attempt.status_code,
        response_duration_ms=round(timings.total_ms),
        response_headers=list(attempt.response_headers) if with_content else [],
        status=attempt.status,
        status_text=STATUS_TEXT[attempt.status],
        trigger_type=attempt.trigger,
        error=attempt.error,
        timings=TimingsOut(
            dns_ms=timings.dns_ms,
            connect_ms=timings.connect_ms,
            tls_ms=timings.tls_ms,
            first_byte_ms=timings.first_byte_ms,
            total_ms=timings.total_ms,
        ),
        next_attempt=None if attempt.next_at_ms is None else rfc3339(attempt.next_at_ms),
        timestamp=rfc3339(attempt.started_at_ms),
        msg=UNSET if of is None else message.shown(of, with_content=with_content),
    )


def _response(attempt: Attempt) -> str:
    """As Svix shows it: text, base64 of what is not text, why when there was no response."""
    if attempt.status_code == 0 and not attempt.response:
        return attempt.error or ""
    try:
        return attempt.response.decode()
    except UnicodeDecodeError:
        return base64.b64encode(attempt.response).decode()


def _shown_message(of: Message, latest: Attempt, *, with_content: bool) -> EndpointMessageOut:
    status = AttemptStatus.SENDING if latest.next_at_ms is not None else latest.status
    return EndpointMessageOut(
        id=of.id,
        event_id=of.event_id,
        event_type=of.event_type,
        channels=None if of.channels is None else list(of.channels),
        payload=message.payload_of(of, with_content=with_content),
        timestamp=rfc3339(of.created_at_ms),
        status=status,
        status_text=STATUS_TEXT[status],
        next_attempt=None if latest.next_at_ms is None else rfc3339(latest.next_at_ms),
    )


def _shown_endpoint(tried: Endpoint, latest: Attempt) -> MessageEndpointOut:
    return MessageEndpointOut(
        **endpoint.fields(tried),  # type: ignore[arg-type]
        status=latest.status,
        status_text=STATUS_TEXT[latest.status],
        next_attempt=None if latest.next_at_ms is None else rfc3339(latest.next_at_ms),
    )
