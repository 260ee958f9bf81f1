"""`POST /api/v1/app/{app_id}/msg`: the path that every event takes, so it is written for speed.

A bare ASGI application: no request object, no router, one decode of the envelope, and a response
that is put together from bytes. The payload's bytes are never re-encoded: they are kept, signed,
sent and answered exactly as they were posted.

The engine commits the message together with its idempotency key, so a repeated key gives the first
message on every node, and nothing here has to remember or wait.
"""

from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from ringback.api import application
from ringback.api.access import Access, Capability, Principal, check_access
from ringback.api.call import Answer, Services, rfc3339
from ringback.api.dispatch import answer_or_report, check_reference
from ringback.api.errors import ClientGone, invalid_body
from ringback.api.exchange import Exchange, exchange_of, read_body, send_answer
from ringback.api.idempotency import idempotency_key
from ringback.api.payload import PLACE, check_payload
from ringback.api.query import parse_query
from ringback.api.schemas.message import ContentQuery, MessageIn, TransformationsParams
from ringback.engine.accept import Draft
from ringback.errors import Invalid
from ringback.model import Message
from ringback.store.port import IdempotencyKey

CONTENT_TYPE_CHARS_MAX: Final = 256
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

_PREFIX: Final = len("/api/v1/app/")
_SUFFIX: Final = len("/msg")
_WITHOUT_CONTENT: Final = b"with_content=false"
_EMPTY: Final = b"{}"
_EXPIRED: Final = b'{"expired":true}'

_decode: Final = msgspec.json.Decoder(MessageIn).decode


class MessageCreate:
    """Serves the route; also when it is reached through the router."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._accept = services.engine.accept
        self._bytes_max = services.settings.body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        try:
            answer = await self._serve(scope, receive, exchange)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_or_report(error, exchange, self._services)
        await send_answer(send, exchange, answer)

    async def _serve(self, scope: Scope, receive: Receive, exchange: Exchange) -> Answer:
        services = self._services
        principal = services.tokens.principal(exchange.headers.get(b"authorization"))
        exchange.principal = principal
        if principal.app_id is not None:
            check_access(principal, Access.ORG, Capability.VIEW_BASE)
        app_ref = exchange.path[_PREFIX:-_SUFFIX]
        check_reference(app_ref)
        with_content = _with_content(scope["query_string"])
        raw = await read_body(exchange, receive, bytes_max=self._bytes_max)
        posted = decoded(raw)
        if posted.application is not None:
            await application.get_or_create(
                services, principal.org_id, app_ref, body=posted.application
            )
        draft = self._draft(posted, principal, app_ref=app_ref, exchange=exchange)
        message = await self._accept(draft)
        return Answer(202, shown_bytes(message, with_content=with_content))

    def _draft(
        self, posted: MessageIn, principal: Principal, *, app_ref: str, exchange: Exchange
    ) -> Draft:
        raw_body, content_type = None, None
        if posted.transformations_params is not None:
            raw_body, content_type = _raw(posted.transformations_params)
        channels = posted.channels
        return Draft(
            principal.org_id,
            app_ref,
            posted.event_type,
            bytes(posted.payload),
            posted.event_id,
            None if channels is None else tuple(dict.fromkeys(channels)),
            raw_body,
            content_type,
            self._expires_at_ms(posted),
            None,
            self._idempotency(principal, exchange),
        )

    def _expires_at_ms(self, posted: MessageIn) -> int | None:
        days, hours = posted.payload_retention_period, posted.payload_retention_hours
        if days is None and hours is None:
            return None
        if days is not None and hours is not None:
            raise Invalid(
                "send either payloadRetentionPeriod or payloadRetentionHours, not both",
                loc=("body", "payloadRetentionHours"),
            )
        return self._services.clock.now_ms() + (days or 0) * DAY_MS + (hours or 0) * HOUR_MS

    def _idempotency(self, principal: Principal, exchange: Exchange) -> IdempotencyKey | None:
        key = exchange.headers.get(b"idempotency-key")
        if key is None:
            return None
        services = self._services
        return idempotency_key(
            key,
            principal,
            target=f"POST\n{exchange.path}".encode(),
            settings=services.settings,
            now_ms=services.clock.now_ms(),
        )


def decoded(raw: bytes) -> MessageIn:
    """The checked body, its payload under the one name `payload`. Raises Invalid."""
    try:
        posted = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise invalid_body(error) from None
    payload = bytes(posted.payload)
    if not payload:
        payload = bytes(posted.data)
        if not payload:
            raise Invalid("this field is required", loc=PLACE)
        posted = msgspec.structs.replace(posted, payload=posted.data)
    check_payload(payload)
    if posted.deliver_at is not None:
        raise Invalid(
            "deliverAt is not supported: post the message when it is due",
            loc=("body", "deliverAt"),
        )
    return posted


def _with_content(query: bytes) -> bool:
    if not query:
        return True
    if query == _WITHOUT_CONTENT:
        return False
    return parse_query(query, ContentQuery).with_content


def _raw(params: TransformationsParams) -> tuple[bytes | None, str | None]:
    """What is sent instead of the payload, and as what. Raises Invalid."""
    if params.raw_payload is None:
        return None, None
    for name, value in (params.headers or {}).items():
        if name.lower() == "content-type":
            return params.raw_payload.encode(), _content_type(value)
    return params.raw_payload.encode(), None


def _content_type(value: object) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= CONTENT_TYPE_CHARS_MAX
        or not (value.isascii() and value.isprintable())
    ):
        raise Invalid(
            f"a content type is 1 to {CONTENT_TYPE_CHARS_MAX} printable ASCII characters",
            loc=("body", "transformationsParams", "headers", "content-type"),
        )
    return value


def shown_bytes(message: Message, *, with_content: bool) -> bytes:
    """`MessageOut` as JSON. Every text in it was checked to need no escaping."""
    if not with_content:
        payload = _EMPTY
    else:
        payload = _EXPIRED if message.payload is None else message.payload
    event_id = "null" if message.event_id is None else f'"{message.event_id}"'
    channels = "null"
    if message.channels is not None:
        channels = '["' + '","'.join(message.channels) + '"]'
    head = (
        f'{{"id":"{message.id}","eventId":{event_id},"eventType":"{message.event_type}",'
        f'"channels":{channels},"timestamp":"{rfc3339(message.created_at_ms)}","payload":'
    )
    return b"%b%b}" % (head.encode(), payload)
