"""What every adapter does with a request, whatever the framework.

    handshake? ──► its answer, which proves us to the provider
    verified?  ──► the event, for the app's function or the inbox ──► the provider's receipt
    refused?   ──► its status and one word, nothing else; why is in the log

An adapter turns its framework's request into a `Call`, and a `Reply` into its framework's response.
What can be seen of a mistake when the app starts is raised then, as Misconfigured. Nothing is ever
acknowledged that was not verified and taken. Calls may come from many threads at once.

What needs a provider's certificate is proven under a lock, because it may be fetched: one fetch at
a time, and those who waited find it kept. Everything else is proven at once.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, Required, TypedDict, Unpack

from msgspec import Struct

from ringback.errors import (
    InboxUnavailable,
    KeyNeeded,
    Misconfigured,
    PayloadTooLarge,
    VerificationError,
)
from ringback.receive.body import BODY_BYTES_MAX, BODY_S_MAX, Unread
from ringback.receive.documents import Documents, Fetch, with_documents
from ringback.receive.verification import respond, scheme_of, verify
from ringback.sign.challenge import json_reply
from ringback.sign.event import VerifiedEvent
from ringback.sign.request import Headers
from ringback.sign.scheme import Draft, Reply, Scheme

MISTAKES_TOLD_MAX: Final = 16

logger: Final = logging.getLogger("ringback.receive")

Take = Callable[[VerifiedEvent], object]
TakeAsync = Callable[[VerifiedEvent], Awaitable[object]]


class Options(TypedDict, total=False):
    """What every adapter takes.

    secrets         one, or several while one replaces another
    public_url      the URL that the provider calls, as you registered it, without its query; only
                    providers that sign the URL need it. It is never guessed from headers
    tolerance_s     how far the signed time may be from now; by default as the provider says
    body_bytes_max  larger bodies are refused with 413, before anything is computed
    body_s_max      how long an async adapter waits for the body; with WSGI the server decides
    source          the name in the inbox, if several senders use one scheme
    fetch           how certificates are fetched; by default under the rules for outgoing requests
    now_s           Unix time in seconds
    """

    secrets: Required[str | Sequence[str]]
    public_url: str | None
    tolerance_s: int | None
    body_bytes_max: int
    body_s_max: float
    source: str | None
    fetch: Fetch
    now_s: Callable[[], float]


class Call(Struct, frozen=True):
    """A request as the framework gave it: all headers, and the body as it came."""

    method: str
    query: str
    headers: Headers
    body: bytes


class Webhook:
    """One provider's webhooks, with what this app brings along.

    Raises Misconfigured for what can be known to be wrong before anything was received.
    """

    def __init__(self, provider: str | Scheme, **options: Unpack[Options]) -> None:
        self.scheme = scheme_of(provider)
        self.accepted = self.scheme.accepted
        self.body_bytes_max = options.get("body_bytes_max", BODY_BYTES_MAX)
        self.body_s_max = options.get("body_s_max", BODY_S_MAX)
        self.source = options.get("source")
        self._secrets = options["secrets"]
        self._public_url = options.get("public_url")
        self._tolerance_s = options.get("tolerance_s")
        self._fetch = options.get("fetch", _fetch)
        self._now_s = options.get("now_s", time.time)
        self._documents = Documents()
        self._fetching = Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._told: set[str] = set()
        self._check()

    def prove(self, call: Call) -> VerifiedEvent | Reply:
        """The event, or what to answer instead. May block: for a fetch, if one is needed."""
        try:
            proven = self._at_once(call)
            return self._with_fetches(call) if proven is None else proven
        except VerificationError as error:
            return self.refused(error)

    async def prove_async(self, call: Call) -> VerifiedEvent | Reply:
        """The same for an event loop, which a fetch does not block."""
        from asyncio import get_running_loop

        try:
            proven = self._at_once(call)
            if proven is None:
                thread = self._own_thread()
                proven = await get_running_loop().run_in_executor(thread, self._with_fetches, call)
            return proven
        except VerificationError as error:
            return self.refused(error)

    def take(self, call: Call, take: Take) -> object:
        """What `take` returns for the event; a Reply if it returns None, or is not reached.

        Raises what `take` raises, unless that says that the event is not kept.
        """
        proven = self.prove(call)
        if isinstance(proven, Reply):
            return proven
        try:
            taken = take(proven)
        except (InboxUnavailable, PayloadTooLarge) as error:
            return self.refused(error)
        return self.accepted if taken is None else taken

    async def take_async(self, call: Call, take: TakeAsync) -> object:
        """The same with a function that is awaited."""
        proven = await self.prove_async(call)
        if isinstance(proven, Reply):
            return proven
        try:
            taken = await take(proven)
        except (InboxUnavailable, PayloadTooLarge) as error:
            return self.refused(error)
        return self.accepted if taken is None else taken

    def refused(
        self, error: VerificationError | InboxUnavailable | PayloadTooLarge | Unread
    ) -> Reply:
        """The answer to what was refused. It says which kind of error it was; the log says why."""
        self._tell(error)
        return json_reply({"error": _word(error)}, error.status)

    # ---- details --------------------------------------------------------------------------------

    def _ask(self, call: Call, documents: Mapping[str, bytes]) -> VerifiedEvent | Reply:
        scheme, headers, body, method = self.scheme, call.headers, call.body, call.method
        now_s, tolerance_s, secrets = self._now_s(), self._tolerance_s, self._secrets
        url = f"{self._public_url or '/'}?{call.query}" if call.query else self._public_url
        reply = respond(
            scheme,
            headers,
            body,
            secrets=secrets,
            now_s=now_s,
            url=url,
            method=method,
            tolerance_s=tolerance_s,
            documents=documents,
        )
        if reply is not None:
            return reply
        if method != "POST":
            return NOT_ALLOWED
        return verify(
            scheme,
            headers,
            body,
            secrets=secrets,
            now_s=now_s,
            url=url,
            method=method,
            tolerance_s=tolerance_s,
            documents=documents,
        )

    def _at_once(self, call: Call) -> VerifiedEvent | Reply | None:
        """None if something must be fetched first."""
        try:
            proven = self._ask(call, self._documents.fresh(self._now_s()))
        except KeyNeeded:
            return None
        return None if isinstance(proven, Reply) and proven.fetch_url else proven

    def _with_fetches(self, call: Call) -> VerifiedEvent | Reply:
        with self._fetching:
            proven = with_documents(
                lambda documents: self._ask(call, documents),
                self._documents,
                fetch=self._fetch,
                now_s=self._now_s(),
            )
            if isinstance(proven, Reply) and proven.fetch_url:
                self._confirm(proven.fetch_url)
        return proven

    def _confirm(self, url: str) -> None:
        """Ends a handshake that wants a visit. Raises KeyNeeded, so that the provider asks again.

        It counts as a fetch: whoever repeats a handshake does not make us call all the time.
        """
        now_s = self._now_s()
        self._documents.begin(url, now_s)
        try:
            self._fetch(url)
        except Exception as error:
            self._documents.fail(url, now_s)
            raise KeyNeeded(url) from error

    def _own_thread(self) -> ThreadPoolExecutor:
        """One: those who wait for a fetch must not fill the threads that the app waits for."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "ringback-documents")
        return self._thread

    def _tell(self, error: VerificationError | InboxUnavailable | PayloadTooLarge | Unread) -> None:
        title = self.scheme.title
        if isinstance(error, Misconfigured):
            if str(error) not in self._told and len(self._told) < MISTAKES_TOLD_MAX:
                self._told.add(str(error))
                logger.error("%s: every request is refused with 500. %s", title, error)
        elif isinstance(error, KeyNeeded):
            # The query may hold a token that confirms a subscription.
            document = error.url.partition("?")[0]
            why = error.__cause__ or "it failed a moment ago, or too many were asked for"
            logger.warning("%s: %s could not be fetched (%s)", title, document, why)
        else:
            logger.warning("%s: refused with %d. %s", title, error.status, error)

    def _check(self) -> None:
        scheme, url = self.scheme, self._public_url
        if scheme.needs_url and not url:
            raise Misconfigured(
                f"{scheme.title} signs the URL: give `public_url`, the one that you registered"
                " there. Behind a proxy it is not the one that this app sees"
            )
        if url is not None and (
            not url.startswith(("https://", "http://")) or set(url) & set("?#")
        ):
            raise Misconfigured(
                "give `public_url` as https://host/path, without a query: that of each request is"
                " put behind it"
            )
        if not (self.body_bytes_max > 0 and self.body_s_max > 0):
            raise Misconfigured("give `body_bytes_max` and `body_s_max` as numbers above 0")
        self._check_secrets()

    def _check_secrets(self) -> None:
        """Has the secrets read once, by a request that is right but for its secret."""
        url = self._public_url or "https://shop.example/"
        draft = Draft(body=b"{}", timestamp_s=int(self._now_s()), url=url)
        headers: Headers = ()
        body, documents = draft.body, dict[str, bytes]()
        if self.scheme.keys is not None:
            signed = self.scheme.sign(draft, self.scheme.keys(bytes(32)).signing)
            url, headers, body = signed.url, signed.headers, signed.body
            documents.update(signed.documents)
        try:
            verify(
                self.scheme,
                headers,
                body,
                secrets=self._secrets,
                now_s=draft.timestamp_s,
                url=url,
                tolerance_s=self._tolerance_s,
                documents=documents,
            )
        except Misconfigured:
            raise
        except VerificationError:
            return


NOT_ALLOWED: Final = Reply(
    405,
    (("Allow", "POST"), ("Content-Type", "application/json")),
    b'{"error":"method_not_allowed"}',
)


def _word(error: Exception) -> str:
    """`KeyNeeded` → `key_needed`."""
    if isinstance(error, Unread):
        return error.word
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def _fetch(url: str, /) -> bytes:
    """The default. Loaded when it is needed: most providers need no document."""
    from ringback.wire.fetch import fetch

    return fetch(url)
