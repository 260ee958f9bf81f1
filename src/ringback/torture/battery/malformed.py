"""Rightly signed bodies that are not what was expected: any answer will do that is not a 5xx.

A 5xx makes the provider send the same again for days, and then give the endpoint up.
"""

from collections.abc import Sequence
from typing import Final

from ringback.torture.case import Case, Shot
from ringback.torture.maker import Maker, changed, with_headers

DEPTH: Final = 20_000
_CRASH: Final = "the provider repeats what can never be processed, for days, and gives up with it"
_ANSWER: Final = "keep or refuse it with a 4xx, and let no exception out"
_UNSIGNABLE: Final = "the provider could not sign such a body"


def broken(make: Maker) -> Case:
    return _bodies(
        make,
        "broken-json",
        "bodies that are no JSON",
        (b"", b'{"a":', b"nothing", b'{"a": 1} {"b": 2}', b"\xef\xbb\xbf{}", b'{"a": NaN}'),
    )


def not_utf8(make: Maker) -> Case:
    return _bodies(
        make,
        "not-utf-8",
        "bodies that are no UTF-8, with NUL and with lone surrogates",
        (b'{"a": "\xff\xfe"}', b'{"a": "\\u0000"}', b'{"id": "\\ud800"}', b"\0\1\2"),
    )


def other_shapes(make: Maker) -> Case:
    return _bodies(
        make,
        "other-shapes",
        "JSON of another shape: null, lists, numbers, and names with other kinds of values",
        (
            b"null",
            b"[]",
            b"{}",
            b'"text"',
            b"0",
            b'{"id": [1], "type": {}, "data": null, "object": 5}',
            b'{"id": null, "type": 1, "data": []}',
        ),
    )


def deep(make: Maker) -> Case:
    nested = b"[" * DEPTH + b"]" * DEPTH
    return _bodies(make, "deep", f"JSON that is nested {DEPTH} times", (nested,))


def numbers(make: Maker) -> Case:
    digits = b"9" * 5_000
    return _bodies(
        make,
        "numbers",
        "numbers out of all ranges",
        (b'{"a": 1e999}', b'{"a": %b}' % digits, b'{"id": -%b}' % digits),
    )


def mislabelled(make: Maker) -> Case:
    labels = (
        (b"Content-Type", b"multipart/form-data"),
        (b"Content-Type", b"application/json; charset=nonsense"),
        (b"Content-Type", b"application/xml"),
        (b"Content-Encoding", b"gzip"),
    )
    shots = []
    for name, text in labels:
        shot = make.shot()
        rest = [field for field in shot.headers if field[0].lower() != name.lower()]
        shots.append(with_headers(shot, *rest, (name, text)))
    return Case(
        name="mislabelled",
        title="wrong Content-Type and Content-Encoding, rightly signed",
        want="survive",
        shots=tuple(shots),
        why=f"those headers are not signed, and frameworks act on them at once: {_CRASH}",
        todo="read raw bytes; unpack nothing before it is verified",
    )


def short(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="cut-short",
        title="the last letters of the body cut off",
        want="refuse",
        shots=(changed(shot, body=shot.body[:-4], length=len(shot.body) - 4),),
        why="half a request was believed",
        todo="verify the signature over the whole raw body",
        skip="" if make.scheme.covers_body else "its proof does not cover the body",
    )


def _bodies(make: Maker, name: str, title: str, bodies: Sequence[bytes]) -> Case:
    shots: list[Shot] = [shot for shot in map(make.raw, bodies) if shot]
    return Case(
        name=name,
        title=f"{title}, rightly signed",
        want="survive",
        shots=tuple(shots),
        why=_CRASH,
        todo=_ANSWER,
        skip="" if shots else _UNSIGNABLE,
    )


MAKERS: Final = (broken, not_utf8, other_shapes, deep, numbers, mislabelled, short)
