"""Requests that cost the receiver something, and a last look whether it is still there."""

from typing import Final

from ringback.torture.case import Case
from ringback.torture.maker import Maker, changed

HUGE_BYTES: Final = 48 * 1024 * 1024
HELD: Final = 12
BURST: Final = 40


def huge(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="huge",
        title=f"an unsigned body of {HUGE_BYTES // 2**20} MiB",
        want="refuse",
        shots=(changed(shot, body=b'{"a": "' + b"x" * HUGE_BYTES + b'"}'),),
        may_cut=True,
        why="strangers fill the receiver's memory",
        todo="limit the body while it is read, and answer 413 (providers send 25 MB at most)",
    )


def immense(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="immense",
        title="a body of 10 GiB is announced",
        want="refuse",
        shots=(changed(shot, length=10 * 2**30),),
        is_advice=True,
        may_cut=True,
        is_ours_to_judge=False,
        why="a receiver that waits for it holds a connection and a worker for nothing",
        todo="refuse by the length that is announced, and give bodies some seconds to come",
    )


def slow_heads(make: Maker) -> Case:
    beginning = b"POST / HTTP/1.1\r\nHost: {host}\r\nX-Slow: "
    return Case(
        name="slow-heads",
        title=f"a good request while {HELD} others never end their head",
        want="accept",
        shots=(make.shot(),),
        held=(beginning,) * HELD,
        why="a dozen connections of one stranger stop the receiver for everybody",
        todo="a server that does not give each connection a worker, or a proxy before it",
    )


def slow_bodies(make: Maker) -> Case:
    shot = make.shot()
    first = f"POST {shot.target} HTTP/1.1\r\nHost: {{host}}\r\n".encode()
    lines = b"".join(name + b": " + text + b"\r\n" for name, text in shot.headers)
    beginning = first + lines + b"Content-Length: 1000\r\n\r\n{"
    return Case(
        name="slow-bodies",
        title=f"a good request while {HELD} others never end their body",
        want="accept",
        shots=(make.shot(),),
        held=(beginning,) * HELD,
        why="a dozen connections of one stranger stop the receiver for everybody",
        todo="a server that does not give each connection a worker, or a proxy before it",
    )


def burst(make: Maker) -> Case:
    return Case(
        name="burst",
        title=f"{BURST} good requests at once",
        want="accept",
        shots=tuple(make.shot() for _ in range(BURST)),
        manner="together",
        effects=BURST,
        why="after an outage providers send all that waited at one time",
        todo="keep the event, answer, and process it afterwards",
    )


def alive(make: Maker) -> Case:
    return Case(
        name="still-there",
        title="a good request after all this",
        want="accept",
        shots=(make.shot(),),
        why="something before this one ended the receiver, or filled it up",
        todo="look into its log for the first error",
    )


MAKERS: Final = (huge, immense, slow_heads, slow_bodies, burst, alive)
