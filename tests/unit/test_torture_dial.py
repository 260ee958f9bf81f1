"""The client of torture: whatever a receiver does, an answer or a named fault comes out in time."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import trustme

from ringback.clock import Clock
from ringback.errors import ConfigError
from ringback.testing.certificates import served
from ringback.testing.chaos import ChaosReceiver, closed_port
from ringback.torture.case import Answer, Case, Outcome, Shot
from ringback.torture.count import Count
from ringback.torture.dial import Dialler, place_of
from ringback.torture.judge import judged

SHOT = Shot(method="POST", target="/x", headers=((b"A", b"\xff"),), body=b"{}")


def fired(behaviour: str, *shots: Shot, timeout_s: float = 30.0) -> list[Answer]:
    async def scenario() -> list[Answer]:
        async with ChaosReceiver(behaviour) as receiver:
            place = await place_of(receiver.url("/x"), may_be_anywhere=False)
            dialler = Dialler(place, Clock(), timeout_s=timeout_s, cafile=None)
            return await dialler.fire(shots or (SHOT,))

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        ("ok", 200),
        ("status/204", 204),
        ("status/503", 503),
        ("chunked", 200),
        ("until-close", 200),
        ("hints", 200),
        ("drip/0.001", 200),
        ("redirect/302", 302),
        ("early", 413),
    ],
)
def test_answers_are_read_however_they_are_framed(behaviour: str, status: int) -> None:
    [answer] = fired(behaviour)
    assert (answer.status, answer.fault) == (status, "")


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        ("hang-up", "closed"),
        ("reset", "closed"),
        ("reset/head", "closed"),
        ("garbage", "garbage"),
        ("bad-status-line", "garbage"),
        ("http2", "garbage"),
    ],
)
def test_faults_have_names(behaviour: str, fault: str) -> None:
    [answer] = fired(behaviour)
    assert (answer.status, answer.fault) == (None, fault)


@pytest.mark.parametrize("behaviour", ["hang", "hang/head", "informational/drip", "endless/body"])
def test_everything_ends_in_time(behaviour: str) -> None:
    [answer] = fired(behaviour, timeout_s=0.2)
    assert (answer.status, answer.fault) == (None, "timeout")


def test_nobody_there_is_refused_and_every_shot_has_an_answer() -> None:
    async def scenario() -> list[Answer]:
        place = await place_of(f"http://127.0.0.1:{closed_port()}", may_be_anywhere=False)
        dialler = Dialler(place, Clock(), timeout_s=30, cafile=None)
        return await dialler.fire([SHOT, SHOT])

    assert [answer.fault for answer in asyncio.run(scenario())] == ["refused", "refused"]


def test_several_shots_share_a_connection_and_chunks_arrive() -> None:
    answers = fired("ok", SHOT, SHOT, SHOT)
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def scenario(cafile: str | None) -> Answer:
        tls = served(authority.issue_cert("127.0.0.1"))
        async with ChaosReceiver("ok", tls=tls) as receiver:
            place = await place_of(receiver.url("/x"), may_be_anywhere=False)
            dialler = Dialler(place, Clock(), timeout_s=30, cafile=cafile)
            return (await dialler.fire([SHOT]))[0]

    assert asyncio.run(scenario(str(tmp_path / "ca.pem"))).status == 200
    assert asyncio.run(scenario(None)).fault == "tls"


# ---- counting -----------------------------------------------------------------------------------


def counted(where: str) -> int:
    return asyncio.run(Count(where, Clock(), may_be_anywhere=False).now())


def test_a_command_may_say_how_many() -> None:
    assert counted(f"{sys.executable} -c 'print(41 + 1)'") == 42


@pytest.mark.parametrize("command", ["exit 3", "echo many", "true", "echo -1"])
def test_a_command_that_says_no_number_is_an_error(command: str) -> None:
    with pytest.raises(ConfigError):
        counted(command)


def test_a_url_must_answer_with_a_number() -> None:
    async def scenario() -> None:
        async with ChaosReceiver("status/200") as receiver:
            with pytest.raises(ConfigError, match="no number"):
                await Count(receiver.url("/n"), Clock(), may_be_anywhere=False).now()
            receiver.behaviour = "status/500"
            with pytest.raises(ConfigError, match="500"):
                await Count(receiver.url("/n"), Clock(), may_be_anywhere=False).now()

    asyncio.run(scenario())


# ---- judging ------------------------------------------------------------------------------------


def outcome(want: str, *answers: Answer, **changes: object) -> Outcome:
    case = Case(name="n", title="t", want=want, why="w", todo="d", **changes)  # type: ignore[arg-type]
    return judged(case, answers, group="g", secrets=["whsec_secret"]).outcome


def said(status: int, body: bytes = b"") -> Answer:
    return Answer(status=status, body=body)


@pytest.mark.parametrize(
    ("want", "good", "bad"),
    [
        ("accept", (200, 204, 299), (199, 301, 400, 401, 500)),
        ("refuse", (302, 400, 401, 413), (200, 204, 500, 503)),
        ("survive", (200, 302, 400, 422), (500, 502)),
        ("once", (200,), (401, 500)),
    ],
)
def test_what_is_wanted_decides(want: str, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    assert {outcome(want, said(status)) for status in good} == {Outcome.OK}
    assert {outcome(want, said(status)) for status in bad} == {Outcome.WRONG}
    assert outcome(want, Answer(fault="closed")) is Outcome.WRONG


def test_one_bad_answer_among_good_ones_counts() -> None:
    assert outcome("accept", said(200), said(401)) is Outcome.WRONG
    assert outcome("once", said(200), said(409)) is Outcome.OK
    assert outcome("once", said(200), said(500)) is Outcome.WRONG


def test_some_failures_are_advice_and_some_cuts_are_fine() -> None:
    assert outcome("refuse", said(200), is_advice=True) is Outcome.ADVICE
    assert outcome("refuse", Answer(fault="closed"), may_cut=True) is Outcome.OK
    assert outcome("refuse", Answer(fault="timeout"), may_cut=True) is Outcome.WRONG
    assert outcome("accept", Answer(status=200, took_s=4.0), within_s=3.0) is Outcome.WRONG


@pytest.mark.parametrize(
    "body", [b"wanted whsec_secret", b"Traceback (most recent call last)", b"right one: abcdef"]
)
def test_an_answer_that_tells_secrets_is_wrong_whatever_its_status(body: bytes) -> None:
    assert outcome("refuse", said(401, body), never=(b"abcdef",)) is Outcome.WRONG


def test_a_report_can_be_json() -> None:
    import msgspec

    case = Case(name="n", title="t", want="accept", why="w", todo="d")
    verdict = judged(case, [said(200)], group="g", secrets=[])
    assert json.loads(json.dumps(msgspec.to_builtins(verdict)))["outcome"] == "ok"
