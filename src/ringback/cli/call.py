"""Calls to a running server: one request, one answer, by the standard library's client.

Never follows a redirect and never retries; a command that wants either says so itself.
"""

import json
import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

import click
from msgspec import Struct

from ringback.cli.exits import Exit, Failure

TIMEOUT_S: Final = 15.0
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024


class Server(Struct, frozen=True):
    """Where a server is, and the token to show it. `repr` does not show the token."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Server({self.url!r})"


class Answer(Struct, frozen=True):
    """`body` is the decoded JSON, None when there was none."""

    status: int
    body: object


def call(
    server: Server,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request.

    Raises Failure (NETWORK) without an answer, UsageError for a URL or a header that is none.
    """
    connection, prefix = _connection(server.url)
    sent = {"Accept": "application/json", **(headers or {})}
    if server.token:
        sent["Authorization"] = f"Bearer {server.token}"
    if body is not None:
        sent["Content-Type"] = "application/json"
    _check_headers(sent)
    try:
        connection.request(method, prefix + path, body=body, headers=sent)
        response = connection.getresponse()
        return Answer(status=response.status, body=_decoded(response.read(ANSWER_BYTES_MAX)))
    except (OSError, HTTPException) as error:
        raise Failure(
            Exit.NETWORK,
            f"no answer from {server.url}: {error or type(error).__name__};"
            " is the server running (ringback serve), and is this its URL?",
        ) from None
    finally:
        connection.close()


def expect(answer: Answer, *statuses: int) -> object:
    """The body of an answer with one of these statuses. Raises Failure (REJECTED)."""
    if answer.status in statuses:
        return answer.body
    raise Failure(Exit.REJECTED, f"the server answered {answer.status}: {complaint(answer)}")


def complaint(answer: Answer) -> str:
    """What an error answer says, in one line."""
    detail = answer.body.get("detail") if isinstance(answer.body, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(_violation(entry) for entry in detail)
    return "it did not say why" if answer.body is None else json.dumps(answer.body)[:500]


def default_url() -> str:
    """RINGBACK_URL, or where a server listens by default."""
    return os.environ.get("RINGBACK_URL") or "http://127.0.0.1:8071"


def _connection(url: str) -> tuple[HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_plain = parts.path.isascii() and _is_visible(parts.path + host)
    if parts.scheme not in {"http", "https"} or not host or not is_plain:
        raise click.UsageError(f"{url!r} is not a URL like http://127.0.0.1:8071")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    prefix = parts.path.rstrip("/").removesuffix("/api/v1")
    return kind(host, port, timeout=TIMEOUT_S), prefix + "/api/v1"


def _check_headers(headers: dict[str, str]) -> None:
    """What a server would not take, or not take for what was meant. Values may be secret."""
    for name, text in headers.items():
        if not (text.isascii() and text.isprintable()):
            raise click.UsageError(
                f"no {name} header can carry that value; give letters, digits and signs of ASCII,"
                " without a line break"
            )


def _is_visible(text: str) -> bool:
    return text.isprintable() and " " not in text


def _decoded(raw: bytes) -> object:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


def _violation(entry: object) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    place = ".".join(str(part) for part in entry.get("loc", ()))
    return f"{place}: {entry.get('msg', 'invalid')}"
