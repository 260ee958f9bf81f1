"""Reading responses: bytes in, a Reply out, within limits. No socket and no time in here.

Framing is llhttp's, in its strict mode: both Content-Length and Transfer-Encoding, two lengths,
bare newlines, folded headers and control characters in a header are refused, and so not an answer.
1xx responses are skipped, a few of them; 101 is refused, as nothing was upgraded. Bodies are never
unpacked. A body over `response_read_bytes_max` ends there: what is known by then is the answer, and
the connection must be closed. Headers that carry a credential are not handed on, see CREDENTIALS.
"""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ringback.config import Settings
from ringback.model import Timings
from ringback.wire.port import Reply

INFORMATIONAL_MAX: Final = 8
# What a receiver hands to its client and nobody else (a session, a token, proof of a shared
# secret), and headers of an endpoint whose values the API does not show, should a receiver send
# them back. Replies are kept and shown for weeks to whoever may read attempts, and the client uses
# none of these. Challenges (WWW-Authenticate, Proxy-Authenticate) prove nothing and say why a
# request was refused, so they stay.
CREDENTIALS: Final = frozenset(
    {
        "authentication-info",
        "authorization",
        "cookie",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "x-api-key",
        "x-auth-token",
    }
)
_STATUS_MIN: Final = 100
_SWITCHING_PROTOCOLS: Final = 101
_RESET_CONTENT: Final = 205
_LINE_BYTES: Final = len(": \r\n")
_NOT_HTTP: Final = "the answer is not a valid HTTP/1.1 response"
_NOT_FINAL: Final = "the answer is not a final HTTP response"


class ResponseReader:
    """Reads one response after another from a connection; `begin` comes before each.

    `is_done` says that `reply` may be called, `is_last` that the connection may not be used again,
    `error` is a sentence once the bytes cannot become a response.
    """

    def __init__(self, settings: Settings) -> None:
        self._head_bytes_max = settings.response_head_bytes_max
        self._read_bytes_max = settings.response_read_bytes_max
        self._kept_bytes_max = settings.response_kept_bytes_max
        self._parser = HttpResponseParser(self)
        self._body: bytes = b""
        self.error: str | None = None
        self.begin()

    def begin(self) -> None:
        """A request is about to be sent."""
        self.is_done = False
        self.is_last = False
        self._received = 0
        self._informational = 0
        self._begin_head()

    def feed(self, chunk: bytes) -> None:
        """What came from the connection, in pieces of any size."""
        self._received += len(chunk)
        try:
            self._parser.feed_data(chunk)
        except (HttpParserError, HttpParserUpgrade):
            # After a whole response, what does not parse only spoils the connection.
            self.is_last = True
            if not self.is_done:
                self.error = self.error or _NOT_HTTP
        if not self.is_done:
            self._check_size()

    def end(self) -> None:
        """The connection has ended: that is the end of a body that nothing else delimits."""
        if self._status and not self.is_done and self._ends_with_connection():
            self.is_done = self.is_last = True

    def reply(self, timings: Timings) -> Reply:
        """The response, once it `is_done`."""
        kept = self._kept_bytes_max
        # Every byte is a character of Latin-1, so nothing a receiver sends can fail to decode.
        headers = [
            (lower, str(value, "latin-1"))
            for name, value in self._headers
            if (lower := str(name, "latin-1").lower()) not in CREDENTIALS
        ]
        return Reply(
            self._status,
            tuple(headers),
            self._body[:kept],
            self._body_bytes > kept or self._is_cut,
            timings,
        )

    # What the parser finds

    def on_message_begin(self) -> None:
        # Bytes beyond the response: whatever they are, nobody asked for them.
        if self.is_done:
            self.is_last = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # Later ones are trailers, or the head of something that nobody asked for.
        if not self._status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_done:
            return
        self._status = self._parser.get_status_code()
        if self._received > self._head_bytes_max and self._is_head_too_long():
            self._refuse_head()
        elif self._status == _RESET_CONTENT:
            # It has no body (RFC 9110 section 15.3.6), though many servers say so in no other way.
            self.is_done = self.is_last = True

    def on_body(self, part: bytes) -> None:
        if self.is_done:
            return
        self._body_bytes += len(part)
        if not self._body:
            self._body = part
        elif len(self._body) < self._kept_bytes_max:
            self._body += part

    def on_message_complete(self) -> None:
        if self.is_done or self.error is not None:
            return
        if self._status >= 200:
            self.is_done = True
            if not self._parser.should_keep_alive():
                self.is_last = True
        elif self._is_skipped():
            self._informational += 1
            self._begin_head()
        else:
            self.error = _NOT_FINAL

    # Details

    def _begin_head(self) -> None:
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._body_bytes = 0
        self._is_cut = False

    def _is_skipped(self) -> bool:
        is_informational = _STATUS_MIN <= self._status != _SWITCHING_PROTOCOLS
        return is_informational and self._informational < INFORMATIONAL_MAX

    def _check_size(self) -> None:
        if not self._status:
            if self._received > self._head_bytes_max:
                self._refuse_head()
        elif (
            self._body_bytes > self._read_bytes_max
            # Chunk sizes and extensions count as well, or they would be an endless response.
            or self._received > self._read_bytes_max + self._head_bytes_max
        ) and self.error is None:
            self.is_done = self.is_last = self._is_cut = True

    def _is_head_too_long(self) -> bool:
        """Of all that was received, a part may be the body, or skipped responses."""
        lines = (len(name) + len(value) + _LINE_BYTES for name, value in self._headers)
        return sum(lines) > self._head_bytes_max

    def _refuse_head(self) -> None:
        self.error = f"the headers of the response are longer than {self._head_bytes_max} bytes"

    def _ends_with_connection(self) -> bool:
        """Neither a length nor a final chunk says where the body ends (RFC 9112 section 6.3)."""
        names = {name.lower(): value for name, value in self._headers}
        coding = names.get(b"transfer-encoding", b"").lower()
        return b"content-length" not in names and not coding.endswith(b"chunked")
