"""Requests that the provider never made: each must be refused, and none may take effect."""

from collections.abc import Iterable
from typing import Final

from ringback.torture.case import Case, Shot
from ringback.torture.maker import Maker, altered, changed, replaced, respelled, with_headers

_ANYBODY: Final = "whoever knows the URL can make the receiver believe anything"
_NO_PROOF: Final = "its proof is not in headers of its own"
_UNCOVERED: Final = "its proof does not cover that"


def unsigned(make: Maker) -> Case:
    shot, body = make.shot(), make.draft().body
    rest = [field for field in shot.headers if field[0] not in make.proving]
    return Case(
        name="unsigned",
        title="no signature at all",
        want="refuse",
        shots=(with_headers(changed(shot, body=body), *rest),),
        why=_ANYBODY,
        todo="refuse what has no signature, in every environment",
    )


def empty(make: Maker) -> Case:
    return Case(
        name="empty-signature",
        title="a signature that is empty",
        want="refuse",
        shots=_with(make, b""),
        why=_ANYBODY,
        todo="an empty signature is none: refuse it before comparing",
        skip=_skip(make),
    )


def wrong_secret(make: Maker) -> Case:
    return Case(
        name="wrong-secret",
        title="signed with another secret",
        want="refuse",
        shots=(make.shot(make.signed(signing=make.wrong_secret)),),
        why=_ANYBODY,
        todo="verify the signature, with a comparison in constant time",
    )


def tampered(make: Maker) -> Case:
    draft = make.draft()
    shot = make.shot(make.signed(draft))
    body = altered(shot.body)
    return Case(
        name="tampered",
        title="one letter of the body changed",
        want="refuse",
        shots=(changed(shot, body=body),),
        never=make.proof_of(draft, body),
        why="whoever stands in between can change amounts and accounts",
        todo="verify the signature over the whole raw body",
        skip="" if make.scheme.covers_body else _UNCOVERED,
    )


def reformatted(make: Maker) -> Case:
    shot = make.shot()
    body = respelled(shot.body)
    return Case(
        name="reformatted",
        title="the same JSON in other bytes",
        want="refuse",
        shots=(changed(shot, body=body),) if body else (),
        why="the signature is checked over a re-made body: two programs read one body differently",
        todo="verify the raw bytes before anything decodes them",
        skip="" if body and make.scheme.covers_body else _UNCOVERED,
    )


def swapped(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="swapped",
        title="the signature of another event",
        want="refuse",
        shots=(changed(shot, body=make.shot().body),),
        why="one captured request is enough to forge any other",
        todo="verify the signature over this request's body, id and time",
        skip="" if make.scheme.covers_body else _UNCOVERED,
    )


def cut(make: Maker) -> Case:
    return Case(
        name="cut-signature",
        title="the first two thirds of the right signature",
        want="refuse",
        shots=tuple(_begun(make)),
        why="a comparison that ends with the shorter text lets signatures be guessed a byte a time",
        todo="compare with hmac.compare_digest, lengths included",
        skip=_skip(make),
    )


def garbage(make: Maker) -> Case:
    junk = (b"x", b"0" * 64, b"v1,", b"v1=", b"sha256=", b"=" * 44, b",".join([b"v1,x"] * 300))
    shots = tuple(shot for text in junk for shot in _with(make, text))
    return Case(
        name="garbage-signature",
        title="signatures that are none",
        want="refuse",
        shots=shots,
        why="a receiver that crashes on them lets strangers fill its logs and wake its people",
        todo="answer 401 to whatever cannot be read",
        skip=_skip(make),
    )


def not_ascii(make: Maker) -> Case:
    junk = (b"\xff\xfe\xfd", "é".encode(), b"v1,\xd9\xa1" * 12)
    shots = tuple(shot for text in junk for shot in _with(make, text))
    return Case(
        name="not-ascii",
        title="signatures with bytes that are no ASCII",
        want="refuse",
        shots=shots,
        why="hmac.compare_digest raises TypeError for such text, and the receiver crashes",
        todo="compare bytes, not text; answer 401",
        skip=_skip(make),
    )


def twice(make: Maker) -> Case:
    shots = []
    for name in make.signatures:
        for fields in ((b"x", None), (None, b"x")):
            shot = make.shot()
            right = dict(shot.headers)[name]
            rest = [field for field in shot.headers if field[0] != name]
            both = [(name, right if text is None else text) for text in fields]
            shots.append(with_headers(shot, *rest, *both))
    return Case(
        name="header-twice",
        title="the signature's header twice, with different values",
        want="refuse",
        shots=tuple(shots),
        is_advice=True,
        why="two programs on the way may each look at another one",
        todo="refuse headers that came twice",
        skip=_skip(make),
    )


def long(make: Maker) -> Case:
    return Case(
        name="long-signature",
        title="a signature of seven thousand letters",
        want="refuse",
        shots=_with(make, b"a" * 7_000),
        why="work that grows with what strangers send can be used to stop the receiver",
        todo="limit the length of headers",
        may_cut=True,
        skip=_skip(make),
    )


def methods(make: Maker) -> Case:
    shots = tuple(changed(make.shot(), method=method) for method in ("GET", "PUT", "DELETE"))
    return Case(
        name="wrong-method",
        title="GET, PUT and DELETE, rightly signed",
        want="refuse",
        shots=shots,
        is_advice=True,
        is_ours_to_judge=False,
        why="what a GET can do, any link, image or crawler does",
        todo="take events by POST alone, and answer 405 to the rest",
    )


def _with(make: Maker, text: bytes) -> tuple[Shot, ...]:
    """A good request for each signature's header, with that value instead."""
    return tuple(replaced(make.shot(), name, text) for name in make.signatures)


def _begun(make: Maker) -> Iterable[Shot]:
    for name in make.signatures:
        shot = make.shot()
        right = dict(shot.headers)[name]
        yield replaced(shot, name, right[: len(right) * 2 // 3])


def _skip(make: Maker) -> str:
    return "" if make.signatures else _NO_PROOF


MAKERS: Final = (
    unsigned,
    empty,
    wrong_secret,
    tampered,
    reformatted,
    swapped,
    cut,
    garbage,
    not_ascii,
    long,
)
