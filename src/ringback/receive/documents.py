"""Certificates and keys that providers publish: kept for a while, fetched by whoever may dial.

`verify` names the URL that it needs, which its scheme has checked; a `Fetch` is what turns it into
bytes. Nothing here dials. A request that is not proven yet can make us fetch, so fetches are
counted, failures are remembered, and the cache is bounded: a flood of forged requests costs a few
fetches a minute and then nothing, while documents that are kept go on serving.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

from ringback.errors import KeyNeeded, Misconfigured

KEPT_S: Final = 86_400
FAILURE_KEPT_S: Final = 60
DOCUMENTS_MAX: Final = 64
DOCUMENT_BYTES_MAX: Final = 65_536
FETCHES_A_MINUTE_MAX: Final = 20

Answer = TypeVar("Answer")


class Fetch(Protocol):
    """The bytes behind an `https` URL, by GET.

    It must verify the host's TLS certificate, follow no redirect, refuse addresses that are not
    public, and stop at `DOCUMENT_BYTES_MAX` and after a few seconds. It may raise anything.
    """

    def __call__(self, url: str, /) -> bytes: ...


class AsyncFetch(Protocol):
    """The same for an event loop."""

    def __call__(self, url: str, /) -> Awaitable[bytes]: ...


class Documents:
    """What was fetched, for one process.

    Any thread may ask `fresh` at any moment; the rest is for one at a time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._failed: dict[str, float] = {}
        self._fetches: deque[float] = deque(maxlen=FETCHES_A_MINUTE_MAX)

    def fresh(self, now_s: float) -> Mapping[str, bytes]:
        """The documents that may be used now."""
        since = now_s - KEPT_S
        kept = tuple(self._kept.items())
        return {url: document for url, (at_s, document) in kept if at_s > since}

    def begin(self, url: str, now_s: float) -> None:
        """Counts a fetch. Raises KeyNeeded if it failed a moment ago, or if there were too many."""
        failed_s = self._failed.get(url, -1.0)
        if failed_s >= 0 and now_s - failed_s < FAILURE_KEPT_S:
            raise KeyNeeded(url)
        if len(self._fetches) == FETCHES_A_MINUTE_MAX and now_s - self._fetches[0] < 60:
            raise KeyNeeded(url)
        self._fetches.append(now_s)

    def keep(self, url: str, found: object, now_s: float) -> None:
        """Raises KeyNeeded for a document over `DOCUMENT_BYTES_MAX`, which counts as a failure.

        Misconfigured is for what is no bytes: the mistake of whoever wrote the fetch.
        """
        if not isinstance(found, bytes | bytearray | memoryview):
            raise Misconfigured(f"`fetch` must return bytes, not {type(found).__name__}")
        document = bytes(found)
        if not 0 < len(document) <= DOCUMENT_BYTES_MAX:
            self.fail(url, now_s)
            raise KeyNeeded(url)
        self._failed.pop(url, None)
        self._kept.pop(url, None)
        while len(self._kept) >= DOCUMENTS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[url] = (now_s, document)

    def fail(self, url: str, now_s: float) -> None:
        while len(self._failed) >= DOCUMENTS_MAX:
            del self._failed[next(iter(self._failed))]
        self._failed[url] = now_s


def with_documents(
    ask: Callable[[Mapping[str, bytes]], Answer],
    documents: Documents,
    *,
    fetch: Fetch,
    now_s: float,
) -> Answer:
    """The answer of `ask`, a call of `verify` or `respond` that takes the documents.

    Raises as it does; KeyNeeded if the document could not be had, which is a 503, so that the
    provider sends again; Misconfigured if `fetch` returns something else than bytes.
    """
    try:
        return ask(documents.fresh(now_s))
    except KeyNeeded as needed:
        url = needed.url
    documents.keep(url, visit(url, documents, fetch=fetch, now_s=now_s), now_s)
    return ask(documents.fresh(now_s))


def visit(url: str, documents: Documents, *, fetch: Fetch, now_s: float) -> object:
    """What is at the URL: a document, or the end of a handshake (`Reply.fetch_url`).

    Raises KeyNeeded, so that the provider asks again. Either counts as a fetch: whoever repeats a
    handshake does not make us call all the time.
    """
    documents.begin(url, now_s)
    try:
        return fetch(url)
    except Exception as error:
        documents.fail(url, now_s)
        raise KeyNeeded(url) from error


async def with_documents_async(
    ask: Callable[[Mapping[str, bytes]], Answer],
    documents: Documents,
    *,
    fetch: AsyncFetch,
    now_s: float,
) -> Answer:
    """The same, with a fetch that is awaited."""
    try:
        return ask(documents.fresh(now_s))
    except KeyNeeded as needed:
        url = needed.url
    documents.begin(url, now_s)
    try:
        found = await fetch(url)
    except Exception as error:
        documents.fail(url, now_s)
        raise KeyNeeded(url) from error
    documents.keep(url, found, now_s)
    return ask(documents.fresh(now_s))


def said(needed: KeyNeeded) -> str:
    """What could not be fetched, and why, for a log: its query may hold a token that confirms."""
    document, _, query = needed.url.partition("?")
    why = str(needed.__cause__ or "it failed a moment ago, or too many were asked for")
    return f"{document} could not be fetched ({why.replace(query, '…') if query else why})"
