"""Documents are fetched once, kept, and never fetched more often than a flood deserves."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ringback.errors import KeyNeeded, Misconfigured
from ringback.receive import (
    Documents,
    Draft,
    VerifiedEvent,
    sign,
    verify,
    with_documents,
    with_documents_async,
)
from ringback.receive.documents import (
    DOCUMENT_BYTES_MAX,
    DOCUMENTS_MAX,
    FAILURE_KEPT_S,
    FETCHES_A_MINUTE_MAX,
    KEPT_S,
)
from ringback.sign.providers import scheme
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600.0


class Library:
    """A fetch that counts, and fails when it is told to."""

    def __init__(self, documents: Mapping[str, bytes], *, is_down: bool = False) -> None:
        self.documents = documents
        self.is_down = is_down
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise OSError("no route")
        return self.documents[url]


def needs(url: str) -> Callable[[Mapping[str, bytes]], bytes]:
    def ask(documents: Mapping[str, bytes]) -> bytes:
        if url not in documents:
            raise KeyNeeded(url)
        return documents[url]

    return ask


def test_a_certificate_is_fetched_once_and_serves_for_a_day() -> None:
    pair = key_pair(scheme("paypal"), 1)
    made = sign("paypal", Draft(body=b'{"id":"WH-1"}', timestamp_s=int(NOW_S)), pair.signing)
    library, documents = Library(made.documents), Documents()

    def ask(known: Mapping[str, bytes]) -> VerifiedEvent:
        return verify(
            "paypal",
            made.headers,
            made.body,
            secrets=pair.verifying,
            now_s=NOW_S,
            documents=known,
        )

    async def fetch(url: str) -> bytes:
        return library(url)

    for later_s in (0.0, 1.0, KEPT_S - 1):
        event = with_documents(ask, documents, fetch=library, now_s=NOW_S + later_s)
        assert event.id == "WH-1"
    assert len(library.asked) == 1
    asked = with_documents_async(ask, documents, fetch=fetch, now_s=NOW_S + KEPT_S)
    assert asyncio.run(asked).id == "WH-1"
    assert len(library.asked) == 2


def test_a_failure_is_remembered_for_a_minute_and_is_a_503() -> None:
    library, documents = Library({"u": b"x"}, is_down=True), Documents()

    for later_s in (0, 1, FAILURE_KEPT_S - 1):
        with pytest.raises(KeyNeeded) as caught:
            with_documents(needs("u"), documents, fetch=library, now_s=NOW_S + later_s)
        assert caught.value.status == 503
    assert len(library.asked) == 1
    library.is_down = False
    over_s = NOW_S + FAILURE_KEPT_S
    assert with_documents(needs("u"), documents, fetch=library, now_s=over_s) == b"x"


def test_a_failure_of_an_awaited_fetch_is_the_same() -> None:
    async def fetch(_url: str) -> bytes:
        raise TimeoutError

    documents = Documents()
    for _ in range(2):
        with pytest.raises(KeyNeeded):
            asyncio.run(with_documents_async(needs("u"), documents, fetch=fetch, now_s=NOW_S))


def test_a_document_is_any_bytes_and_nothing_else() -> None:
    for odd in (bytearray(b"x"), memoryview(b"x")):
        found = with_documents(needs("u"), Documents(), fetch=lambda _, odd=odd: odd, now_s=NOW_S)
        assert (type(found), found) == (bytes, b"x")
    for none in (None, "text", 7, [b"x"]):
        with pytest.raises(Misconfigured, match="`fetch` must return bytes"):
            with_documents(needs("u"), Documents(), fetch=lambda _, none=none: none, now_s=NOW_S)

        async def fetch(_url: str, none: Any = none) -> Any:
            return none

        with pytest.raises(Misconfigured, match="`fetch` must return bytes"):
            asyncio.run(with_documents_async(needs("u"), Documents(), fetch=fetch, now_s=NOW_S))


def test_a_flood_of_forged_requests_is_not_a_flood_of_fetches() -> None:
    urls = [f"u{number}" for number in range(10_000)]
    library, documents = Library({f"{url}#": b"x" * 100_000 for url in urls[:99]}), Documents()

    for url in urls:
        with pytest.raises(KeyNeeded):
            with_documents(needs(url + "#"), documents, fetch=library, now_s=NOW_S)
    assert len(library.asked) == FETCHES_A_MINUTE_MAX
    documents.begin("later", NOW_S + 60)


def test_what_is_kept_is_bounded() -> None:
    documents = Documents()
    for number in range(10 * DOCUMENTS_MAX):
        documents.keep(f"u{number}", b"x", NOW_S)
        documents.fail(f"f{number}", NOW_S)
    assert len(documents.fresh(NOW_S)) == DOCUMENTS_MAX
    assert len(documents._failed) == DOCUMENTS_MAX
    for document in (b"", b"x" * (DOCUMENT_BYTES_MAX + 1)):
        with pytest.raises(KeyNeeded):
            documents.keep("u", document, NOW_S)
    assert "u" not in documents.fresh(NOW_S)
