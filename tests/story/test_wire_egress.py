"""No post reaches an address that policy denies, whatever the URL or DNS says.

127.0.0.1 is allowed and plays the public receiver; 127.0.0.2 is denied and plays the internal one,
on the same port, so that a single connection to it would be seen.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from ringback.testing.chaos import ChaosReceiver
from ringback.testing.posting import IMPATIENT_S, LOOPS, run, sender
from ringback.wire.port import Failure, Reason, Reply

on_both_loops = pytest.mark.parametrize("loop", LOOPS)

PUBLIC = "127.0.0.1"
INTERNAL = "127.0.0.2"
OTHER = "127.0.0.3"


@asynccontextmanager
async def two_receivers() -> AsyncIterator[tuple[ChaosReceiver, ChaosReceiver]]:
    async with (
        ChaosReceiver(host=PUBLIC) as public,
        ChaosReceiver(host=INTERNAL, port=public.port) as internal,
    ):
        yield public, internal
        assert internal.connections == 0


class Names:
    """A resolver that the test turns round as it likes."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers: dict[str, Sequence[str]] = {
            name.replace("_", "."): answer for name, answer in answers.items()
        }
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.get(host, ())


@on_both_loops
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "[::]", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[::127.0.0.1]", "[::ffff:0:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "localhost", "LOCALHOST.",
    ],
)  # fmt: skip
def test_without_an_allow_list_nothing_on_this_machine_is_reached(loop: str, host: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(allow=()) as post:
            outcome = await post(receiver.url("/ok", host=host))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.BLOCKED
            assert receiver.connections == 0

    run(story(), loop=loop)


def test_a_literal_is_named_in_the_reason_and_the_answer_of_a_name_is_not() -> None:
    async def story() -> None:
        async with two_receivers() as (public, _), sender(lookup=Names(a_test=[INTERNAL])) as post:
            literal = await post(f"http://{INTERNAL}:{public.port}/")
            assert isinstance(literal, Failure)
            assert literal.detail == (
                "127.0.0.2 is a loopback address (127.0.0.0/8); allow it with egress_allow"
            )
            named = await post(public.url("/", host="a.test"))
            assert isinstance(named, Failure)
            assert named.reason is Reason.BLOCKED
            assert INTERNAL not in named.detail

    run(story())


@pytest.mark.parametrize("answer", [[INTERNAL], ["fe80::1%lo"], ["::ffff:127.0.0.2"], ["junk"]])
def test_a_name_that_leads_to_denied_addresses_only(answer: list[str]) -> None:
    async def story() -> None:
        names = Names(a_test=answer)
        async with two_receivers() as (public, _), sender(lookup=names) as post:
            for _ in range(3):
                outcome = await post(public.url("/ok", host="a.test"))
                assert isinstance(outcome, Failure)
                assert outcome.reason is Reason.BLOCKED

    run(story())


@on_both_loops
@pytest.mark.parametrize(
    "answer", [[PUBLIC, INTERNAL], [INTERNAL, PUBLIC], [INTERNAL, "::1", PUBLIC]]
)
def test_of_a_mixed_answer_only_the_allowed_address_is_dialled(
    loop: str, answer: list[str]
) -> None:
    async def story() -> None:
        async with two_receivers() as (public, _), sender(lookup=Names(a_test=answer)) as post:
            for _ in range(3):
                assert isinstance(await post(public.url("/close", host="a.test")), Reply)

    run(story(), loop=loop)


def test_of_a_mixed_answer_the_denied_address_is_not_even_a_fallback() -> None:
    async def story() -> None:
        names = Names(a_test=[OTHER, INTERNAL])
        async with (
            two_receivers() as (public, _),
            sender(allow=(f"{PUBLIC}/32", f"{OTHER}/32"), lookup=names) as post,
        ):
            outcome = await post(public.url("/ok", host="a.test"))  # Nobody listens on OTHER.
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.REFUSED

    run(story())


@on_both_loops
@pytest.mark.parametrize("path", ["/ok", "/close"])
def test_rebinding_ends_in_blocked_with_and_without_kept_connections(loop: str, path: str) -> None:
    async def story() -> None:
        names = Names(a_test=[PUBLIC])
        async with (
            two_receivers() as (public, _),
            sender(lookup=names, dns_cache_s=0.005) as post,
        ):
            assert isinstance(await post(public.url(path, host="a.test")), Reply)
            names.answers["a.test"] = [INTERNAL]
            while isinstance(outcome := await post(public.url(path, host="a.test")), Reply):
                pass  # The answer that was judged may serve to the end of its time.
            assert outcome.reason is Reason.BLOCKED

    run(story(), loop=loop)


@on_both_loops
def test_a_name_that_moves_is_followed_although_connections_are_kept(loop: str) -> None:
    async def story() -> None:
        names = Names(a_test=[PUBLIC])
        async with (
            ChaosReceiver(host=PUBLIC) as old,
            ChaosReceiver(host=OTHER, port=old.port) as new,
            sender(allow=("127.0.0.0/8",), lookup=names, dns_cache_s=0.005) as post,
        ):
            assert isinstance(await post(old.url("/ok", host="a.test")), Reply)
            names.answers["a.test"] = [OTHER]
            while not new.requests:
                assert isinstance(await post(old.url("/ok", host="a.test")), Reply)
            assert new.requests[0].header("Host") == f"a.test:{old.port}"

    run(story(), loop=loop)


def test_the_next_address_is_tried_when_one_refuses() -> None:
    async def story() -> None:
        names = Names(a_test=[OTHER, PUBLIC])
        async with (
            ChaosReceiver() as receiver,
            sender(allow=("127.0.0.0/8",), lookup=names) as post,
        ):
            assert isinstance(await post(receiver.url("/ok", host="a.test")), Reply)

    run(story())


def test_two_names_on_one_address_share_no_connection() -> None:
    async def story() -> None:
        names = Names(a_test=[PUBLIC], b_test=[PUBLIC])
        async with ChaosReceiver() as receiver, sender(lookup=names) as post:
            for host in ("a.test", "b.test", "a.test"):
                assert isinstance(await post(receiver.url("/ok", host=host)), Reply)
            assert receiver.connections == 2

    run(story())


def test_a_name_is_looked_up_once_for_many_and_then_remembered() -> None:
    async def story() -> None:
        names = Names(a_test=[PUBLIC])
        async with ChaosReceiver() as receiver, sender(lookup=names) as post:
            urls = [receiver.url("/ok", host="a.test")] * 20
            outcomes = await asyncio.gather(*map(post, urls))
            assert all(isinstance(outcome, Reply) for outcome in outcomes)
            assert isinstance(await post(urls[0]), Reply)
            assert names.asked == ["a.test"]
            assert outcomes[0].timings.dns_ms is not None

    run(story())


@on_both_loops
def test_a_name_that_does_not_resolve(loop: str) -> None:
    def lookup(host: str) -> Sequence[str]:
        raise OSError(f"nothing known of {host}")

    async def story() -> None:
        async with sender(lookup=lookup) as post:
            outcome = await post("http://a.test/")
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.DNS
            assert "a.test" in outcome.detail

    run(story(), loop=loop)


@on_both_loops
def test_a_resolver_that_hangs_stops_neither_the_others_nor_the_end(loop: str) -> None:
    released = threading.Event()

    def lookup(host: str) -> Sequence[str]:
        if host != "a.test":
            released.wait()
        return [PUBLIC]

    async def story() -> None:
        async with (
            ChaosReceiver() as receiver,
            sender(lookup=lookup, dns_threads_max=2, connect_timeout_s=IMPATIENT_S) as post,
        ):
            assert isinstance(await post(receiver.url("/ok", host="a.test")), Reply)
            hanging = [post(f"http://{number}.b.test/") for number in range(4)]
            for outcome in await asyncio.gather(*hanging):
                assert isinstance(outcome, Failure)
                assert outcome.reason is Reason.CONNECT_TIMEOUT
            assert isinstance(await post(receiver.url("/close", host="a.test")), Reply)
            assert isinstance(await post(receiver.url("/close", host="a.test")), Reply)

    try:
        run(story(), loop=loop)
    finally:
        released.set()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with ChaosReceiver() as proxy, ChaosReceiver() as receiver:
            monkeypatch.setenv(name, proxy.url(""))
            async with sender() as post:
                assert isinstance(await post(receiver.url("/ok")), Reply)
            assert (proxy.connections, receiver.connections) == (0, 1)

    run(story())
