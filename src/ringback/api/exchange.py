"""One request and its answer on the wire: reading the body, writing the response.

Every response of the API is written by `send_answer`, so every one has the request id, the CORS
headers and `nosniff`, and is seen by the access log.
"""

from typing import Final

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from ringback.api.access import Principal
from ringback.api.call import Answer
from ringback.api.errors import ClientGone
from ringback.errors import PayloadTooLarge

KEY: Final = "ringback.exchange"
_CORS: Final = (b"access-control-allow-origin", b"*")
_EXPOSE: Final = (b"access-control-expose-headers", b"x-request-id")
# Answers hold what strangers sent; no browser shall take that for anything but JSON.
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


class Exchange(Struct):
    """What is known of a request while it is served; lives in the ASGI scope.

    `headers` are by lower-case name, the last one of a name. `status` is 0 until it is answered.
    """

    request_id: bytes
    method: str
    path: str
    headers: dict[bytes, bytes]
    principal: Principal | None = None
    status: int = 0


def exchange_of(scope: Scope) -> Exchange:
    exchange: Exchange = scope[KEY]
    return exchange


async def read_body(exchange: Exchange, receive: Receive, *, bytes_max: int) -> bytes:
    """The whole body. Raises PayloadTooLarge, and ClientGone when it ends early."""
    length = exchange.headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length[:20]) > bytes_max:
        raise _too_large(bytes_max)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    return await _read_chunks(message, receive, bytes_max)


async def _read_chunks(message: Scope, receive: Receive, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {bytes_max} bytes; send less.")


async def send_answer(send: Send, exchange: Exchange, answer: Answer) -> None:
    body = answer.body
    request_id = (b"x-request-id", exchange.request_id)
    headers = [request_id, _CORS, _EXPOSE, _NOSNIFF, *answer.headers]
    if answer.status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
        if body:
            headers.append((b"content-type", answer.content_type))
    exchange.status = answer.status
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if exchange.method == "HEAD":
        body = b""
    await send({"type": "http.response.body", "body": body})
