"""Torture against real servers: our own adapters pass, and each bad receiver is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import structs

from ringback.clock import Clock
from ringback.errors import ConfigError, Misconfigured
from ringback.front import Front
from ringback.receive import providers
from ringback.receive.asgi import webhook
from ringback.receive.verification import scheme_of
from ringback.testing.bad_receivers import (
    SECRET,
    Forgetful,
    Fragile,
    Hurried,
    OverParsedJson,
    Racing,
    RightReceiver,
    Talkative,
    Timeless,
    Trusting,
)
from ringback.testing.provider_keys import key_pair
from ringback.torture.case import Outcome
from ringback.torture.maker import Maker, Terms
from ringback.torture.run import Report, Rules, torture

PUBLIC_ONLY = {"aws_sns", "paypal", "plaid"}  # they sign with keys that only they have
PATIENT = Rules(linger_s=0, timeout_s=60, seconds_max=600)


class Hasty(Clock):
    """Real time, and nobody waits for it."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    front = Front(Clock())
    url = await front.bind("127.0.0.1", 0)
    await front.open(app)
    try:
        yield url
    finally:
        await front.close(0)


def terms_of(provider: str, url: str) -> Terms:
    scheme = scheme_of(provider)
    pair = key_pair(scheme, 1)
    return Terms(
        scheme=scheme,
        url=url,
        public_url=url,
        signing=pair.signing,
        verifying=pair.verifying,
        type="order.paid",
        payload={"amount": 1999},
    )


def tried(app: Any, *, looks: bool = True, **changes: Any) -> Report:
    """The report on a receiver of Stripe's webhooks."""

    async def scenario() -> Report:
        async with served(app) as url:
            terms = structs.replace(
                terms_of("stripe", f"{url}/hooks"), signing=SECRET, verifying=SECRET
            )
            rules = structs.replace(PATIENT, **changes)
            if looks:
                rules = structs.replace(rules, effects=f"{url}/effects", kept=f"{url}/kept")
            return await torture(terms, rules, Hasty())

    return asyncio.run(scenario())


def named(report: Report, outcome: Outcome) -> set[str]:
    return {verdict.name for verdict in report.verdicts if verdict.outcome is outcome}


def faults(report: Report) -> set[str]:
    """Of the receiver; each says why it matters and what to do."""
    for verdict in report.verdicts:
        is_fault = verdict.outcome in {Outcome.WRONG, Outcome.ADVICE}
        assert bool(verdict.why and verdict.todo) == is_fault, verdict
    return named(report, Outcome.WRONG) | named(report, Outcome.ADVICE)


# ---- what is right ------------------------------------------------------------------------------


def test_a_right_receiver_passes_with_nothing_left_out() -> None:
    report = tried(RightReceiver())

    assert faults(report) == set()
    assert named(report, Outcome.SKIPPED) == set()
    assert report.is_passed
    assert len(report.verdicts) > 40


@pytest.mark.parametrize(
    "provider", [scheme.name for scheme in providers() if scheme.name not in PUBLIC_ONLY]
)
def test_our_own_adapter_passes_for_every_provider_for_which_we_can_sign(provider: str) -> None:
    taken: set[str] = set()

    async def scenario() -> Report:
        async def dispatch(scope: Any, receive: Any, send: Any) -> None:
            await apps[scope["path"]](scope, receive, send)

        async def count(scope: Any, receive: Any, send: Any) -> None:
            said = str(len(taken)).encode()
            head = {"type": "http.response.start", "status": 200, "headers": []}
            await send(head)
            await send({"type": "http.response.body", "body": said})

        async with served(dispatch) as url:
            terms = terms_of(provider, f"{url}/hooks")

            @webhook(provider, secrets=terms.verifying, public_url=terms.public_url)
            async def take(event: Any) -> None:
                taken.update(one.id for one in event.events())

            apps: dict[str, Any] = {"/hooks": take, "/effects": count}
            rules = structs.replace(PATIENT, effects=f"{url}/effects", kept=f"{url}/effects")
            return await torture(terms, rules, Hasty())

    report = asyncio.run(scenario())

    assert faults(report) == set(), [v for v in report.verdicts if v.why]
    assert report.is_passed
    assert {"good", "wrong-secret", "repeated", "still-there"} <= named(report, Outcome.OK)


# ---- what is wrong ------------------------------------------------------------------------------


def test_who_verifies_nothing_is_found() -> None:
    found = faults(tried(Trusting()))

    assert {"unsigned", "wrong-secret", "tampered", "stale", "forged-effects"} <= found


def test_who_verifies_what_json_made_of_the_body_is_found() -> None:
    found = faults(tried(OverParsedJson()))

    assert {"odd-spelling", "reformatted"} <= found
    assert "tampered" not in found


def test_who_looks_at_no_time_is_found() -> None:
    assert faults(tried(Timeless())) == {
        "stale",
        "future",
        "aged-effects",
        "header-twice",  # it reads them into a dict
    }


def test_who_processes_whatever_comes_is_found_where_effects_can_be_seen() -> None:
    assert faults(tried(Forgetful())) == {"repeated", "retried", "parallel"}
    assert faults(tried(Forgetful(), looks=False)) == set()


def test_who_looks_first_and_remembers_later_is_found() -> None:
    assert faults(tried(Racing())) == {"parallel"}


def test_who_answers_before_keeping_is_found() -> None:
    report = tried(Hurried())

    assert faults(report) == {"kept-first"}
    assert "kept-first" in named(tried(Hurried(), looks=False), Outcome.SKIPPED)


def test_who_crashes_on_what_cannot_be_read_is_found() -> None:
    found = faults(tried(Fragile()))

    assert {"unsigned", "garbage-signature", "not-ascii", "broken-json", "other-shapes"} <= found
    assert {"good", "repeated", "still-there"} & found == set()


def test_who_tells_the_right_signature_is_found() -> None:
    report = tried(Talkative())

    [tampered] = [verdict for verdict in report.verdicts if verdict.name == "tampered"]
    assert tampered.outcome is Outcome.WRONG
    assert "signature" in tampered.saw


def test_who_refuses_the_good_one_is_asked_nothing_more() -> None:
    async def no(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    report = tried(no, looks=False)

    assert named(report, Outcome.WRONG) == {"good"}
    assert named(report, Outcome.OK) == set()
    assert not report.is_whole


def test_when_time_is_up_the_rest_is_named_and_nothing_is_called_passed() -> None:
    report = tried(RightReceiver(), seconds_max=0)

    assert not report.is_passed
    assert named(report, Outcome.SKIPPED) != set()


def test_a_misspelled_choice_passes_nobody() -> None:
    with pytest.raises(ConfigError, match="no 'froged' to choose"):
        tried(RightReceiver(), only=frozenset({"froged"}))
    assert tried(RightReceiver(), only=frozenset({"forged", "kept-first"})).is_passed


# ---- whom it will not try -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/", "https://[2001:db8::1]/", "http://0.0.0.0/", "http://10.0.0.1:80"]
)
def test_other_machines_are_not_tried_without_leave(url: str) -> None:
    with pytest.raises(ConfigError, match="not this machine"):
        asyncio.run(torture(terms_of("stripe", url), Rules(), Clock()))


@pytest.mark.parametrize("url", ["127.0.0.1", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", ""])
def test_what_is_no_url_is_not_tried(url: str) -> None:
    with pytest.raises(ConfigError, match="not a URL"):
        asyncio.run(torture(terms_of("stripe", url), Rules(), Clock()))


@pytest.mark.parametrize("provider", sorted(PUBLIC_ONLY))
def test_who_alone_can_sign_cannot_be_played(provider: str) -> None:
    with pytest.raises(Misconfigured, match="only it has"):
        Maker(terms_of(provider, "http://127.0.0.1:1/"), Clock())
