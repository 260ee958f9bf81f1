"""What arrived, and whether it can be trusted: a request, judged as a receiver should judge it.

    Judge(provider, secrets)      handshake, event or complaint, and the right answer to it

Without a provider nothing is judged, and everything is taken. A provider's certificate is fetched,
and a subscription confirmed, under the rules for outgoing requests, in a thread.
"""

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringback.errors import KeyNeeded, VerificationError
from ringback.listen.request import Head
from ringback.receive.documents import Documents, Fetch, said, visit, with_documents
from ringback.receive.verification import respond, scheme_of, verify
from ringback.sign.event import VerifiedEvent
from ringback.sign.scheme import SECRETS_MAX, Reply, Scheme

SEEN_MAX: Final = 10_000


class Finding(Struct, frozen=True):
    """What a request is, and the answer that it should get.

    `is_verified` is None if nobody was asked to verify; `complaint` says why something is not
    trusted, its kind first (`Mismatch: …`). `secret` came with a handshake.
    """

    answer: Reply
    is_verified: bool | None = None
    is_handshake: bool = False
    complaint: str = ""
    event_id: str = ""
    event_type: str = ""
    secret: str = ""


class Arrival(Struct, frozen=True, kw_only=True):
    """One request that was read to its end.

    `at_ms` are milliseconds since 1970. `misbehaviour` is what was done instead of the answer.
    """

    number: int
    at_ms: int
    head: Head
    body: bytes
    finding: Finding
    is_repeated: bool
    misbehaviour: str

    def as_object(self) -> dict[str, object]:
        """For JSON: the body as text, or as `body_base64` where it is not UTF-8."""
        finding = self.finding
        return {
            "number": self.number,
            "at_ms": self.at_ms,
            "method": self.head.method,
            "target": self.head.target,
            "headers": self.head.headers,
            **_text(self.body),
            "verified": finding.is_verified,
            "handshake": finding.is_handshake,
            "complaint": finding.complaint or None,
            "id": finding.event_id or None,
            "type": finding.event_type or None,
            "secret": finding.secret or None,
            "repeated": self.is_repeated,
            "status": None if self.misbehaviour else finding.answer.status,
            "misbehaviour": self.misbehaviour or None,
        }


class Judge:
    """One provider's terms. `url` is what the provider calls, without its query, if it signs that.

    Without secrets it takes those that come with handshakes, where the provider does that.
    Raises Misconfigured for a provider that does not exist.
    """

    def __init__(
        self,
        provider: str | Scheme,
        secrets: Sequence[str],
        *,
        url: str | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self.scheme = scheme_of(provider)
        self._secrets = list(secrets)
        self._is_learning = not secrets
        self._url = url
        self._fetch = fetch
        self._documents = Documents()
        self._fetching = asyncio.Lock()

    async def find(self, head: Head, body: bytes, *, now_s: float) -> Finding:
        if self._fetch is None:
            return self._found(head, body, now_s)
        async with self._fetching:
            return await asyncio.to_thread(self._found, head, body, now_s)

    def _found(self, head: Head, body: bytes, now_s: float) -> Finding:
        try:
            proven = self._with_fetches(head, body, now_s)
        except VerificationError as error:
            why = said(error) if isinstance(error, KeyNeeded) else str(error)
            complaint = f"{type(error).__name__}: {why}"
            return Finding(Reply(error.status), is_verified=False, complaint=complaint)
        if isinstance(proven, Reply):
            if proven.secret and self._is_learning:
                self._secrets = [*self._secrets, proven.secret][-SECRETS_MAX:]
            return Finding(proven, is_verified=True, is_handshake=True, secret=proven.secret)
        return Finding(
            self.scheme.accepted,
            is_verified=True,
            event_id=proven.id,
            event_type=proven.type or "",
        )

    def _with_fetches(self, head: Head, body: bytes, now_s: float) -> VerifiedEvent | Reply:
        if self._fetch is None:
            return self._ask(head, body, now_s, {})
        proven = with_documents(
            lambda documents: self._ask(head, body, now_s, documents),
            self._documents,
            fetch=self._fetch,
            now_s=now_s,
        )
        if isinstance(proven, Reply) and proven.fetch_url:
            visit(proven.fetch_url, self._documents, fetch=self._fetch, now_s=now_s)
        return proven

    def _ask(
        self, head: Head, body: bytes, now_s: float, documents: Mapping[str, bytes]
    ) -> VerifiedEvent | Reply:
        _, mark, query = head.target.partition("?")
        url = f"{self._url or '/'}{mark}{query}" if self._url or query else None
        for ask in (respond, verify):
            found = ask(
                self.scheme,
                head.headers,
                body,
                secrets=self._secrets,
                now_s=now_s,
                url=url,
                method=head.method,
                documents=documents,
            )
            if found is not None:
                return found
        raise AssertionError("verify answers or raises")


class Seen:
    """The last ids, to tell what is repeated."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def knew(self, event_id: str) -> bool:
        """Whether it was seen before; from now on it was."""
        if not event_id:
            return False
        was_there = event_id in self._ids
        self._ids[event_id] = None
        self._ids.move_to_end(event_id)
        if len(self._ids) > SEEN_MAX:
            self._ids.popitem(last=False)
        return was_there


def _text(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}
