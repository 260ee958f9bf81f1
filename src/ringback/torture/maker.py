"""Makes requests as the provider would, and ones that it never would, for one receiver.

Pure but for the clock that it is given. Each event has an id of its own, and a mark in its payload,
so that no two events of any run are the same, whatever a receiver dedupes by.
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct, json, structs

from ringback import __version__
from ringback.clock import Clock
from ringback.errors import Misconfigured, VerificationError
from ringback.receive.verification import respond, verify
from ringback.sign.event import enveloped
from ringback.sign.scheme import Draft, Scheme, Signed
from ringback.torture.case import Shot

MARK: Final = "ringback_torture"
_PIECE: Final = re.compile(rb"[A-Za-z0-9+/]{20,}={0,2}")
USER_AGENT: Final = f"ringback/{__version__} (torture)".encode()


class Terms(Struct, frozen=True, kw_only=True):
    """What the receiver's owner knows.

    url         where it is called
    public_url  where it believes to be called, if the provider signs that
    signing     what the provider signs with
    verifying   what the receiver verifies with: the same, unless the scheme is asymmetric
    """

    scheme: Scheme
    url: str
    public_url: str
    signing: str
    verifying: str
    type: str
    payload: Mapping[str, Any]


class Maker:
    """Raises Misconfigured if a good request cannot be made."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self.terms = terms
        self.scheme = terms.scheme
        self._clock = clock
        self._run = clock.token_bytes(6).hex()
        self._other = clock.token_bytes(32)
        self._made = 0
        self._check()

    @property
    def now_s(self) -> int:
        """Signatures age while a battery is fired, so each case is made when its turn comes."""
        return self._clock.now_ms() // 1000

    # ---- good ones ------------------------------------------------------------------------------

    def draft(self, *, at_s: int | None = None) -> Draft:
        """A new event."""
        self._made += 1
        mark = f"{self._run}{self._made:06}"
        draft = Draft(
            body=b"",
            timestamp_s=self.now_s if at_s is None else at_s,
            id=f"evt_{mark}",
            type=self.terms.type,
            url=self.terms.public_url,
        )
        body = enveloped(self.scheme, draft, {**self.terms.payload, MARK: mark})
        return self.with_body(draft, body)

    def with_body(self, draft: Draft, body: bytes, *, at_s: int | None = None) -> Draft:
        return Draft(
            body=body,
            timestamp_s=draft.timestamp_s if at_s is None else at_s,
            id=draft.id,
            type=draft.type,
            url=draft.url,
            method=draft.method,
        )

    def signed(self, draft: Draft | None = None, *, signing: str | None = None) -> Signed:
        """Raises VerificationError or ValueError where the provider could not sign such a body."""
        return self.scheme.sign(draft or self.draft(), signing or self.terms.signing)

    def shot(self, signed: Signed | None = None) -> Shot:
        """The request as it is sent."""
        signed = signed or self.signed()
        fields = [(name.encode(), text.encode()) for name, text in signed.headers]
        return Shot(
            method=signed.method,
            target=self._target(signed.url),
            headers=(*fields, (b"User-Agent", USER_AGENT)),
            body=signed.body,
        )

    def raw(self, body: bytes) -> Shot | None:
        """A rightly signed body that is no event; None where the provider could not sign it."""
        try:
            return self.shot(self.signed(self.with_body(self.draft(), body)))
        except (VerificationError, ValueError, RecursionError):
            return None

    # ---- what proves them -----------------------------------------------------------------------

    def accepts(self, shot: Shot) -> bool:
        """Whether our own verification does. Raises Misconfigured."""
        try:
            if self._ask(respond, shot) is None:
                self._ask(verify, shot)
        except Misconfigured:
            raise
        except VerificationError:
            return False
        return True

    @cached_property
    def has_ids(self) -> bool:
        """Whether two events can be told apart by their ids, as `verify` finds them."""
        return len({self._ask(verify, self.shot()).id for _ in range(2)}) == 2

    @cached_property
    def proving(self) -> tuple[bytes, ...]:
        """The headers without which a request is refused."""
        good = self.shot()
        names = [name for name, _ in good.headers]
        return tuple(name for name in names if not self.accepts(without(good, name)))

    @cached_property
    def signatures(self) -> tuple[bytes, ...]:
        """Those of them that depend on the secret."""
        draft = self.draft()
        ours, theirs = self._fields(draft), self._fields(draft, self.wrong_secret)
        return tuple(name for name in self.proving if ours.get(name) != theirs.get(name))

    @cached_property
    def wrong_secret(self) -> str:
        """Another one of the same kind."""
        if self.scheme.keys is None:
            raise Misconfigured(f"{self.scheme.title} has no secrets that could be made")
        return self.scheme.keys(self._other).signing

    def proof_of(self, draft: Draft, body: bytes) -> tuple[bytes, ...]:
        """The right signatures of another body, which no answer may tell whoever sent that."""
        try:
            fields = self._fields(self.with_body(draft, body))
        except (VerificationError, ValueError):
            return ()
        texts = [text for name in self.signatures for text in _PIECE.findall(fields.get(name, b""))]
        return tuple(texts)

    def _ask(self, ask: Callable[..., Any], shot: Shot) -> Any:
        return ask(
            self.scheme,
            shot.headers,
            shot.body,
            secrets=self.terms.verifying,
            now_s=self.now_s,
            url=self._url_of(shot),
            method=shot.method,
        )

    def _fields(self, draft: Draft, signing: str | None = None) -> dict[bytes, bytes]:
        return dict(self.shot(self.signed(draft, signing=signing)).headers)

    # ---- details --------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.scheme.keys is None or self.signed().documents:
            raise Misconfigured(
                f"{self.scheme.title} signs with keys that only it has, and publishes the other"
                " half: nobody can send your receiver a good request but it"
            )
        if not self.accepts(self.shot()):
            raise Misconfigured(
                "what --secret signs, --verifying does not verify: give both halves of one pair"
            )

    def _target(self, signed_url: str) -> str:
        """Path and query of the receiver; the query of the signed URL, if signing changed that."""
        parts, signed = urlsplit(self.terms.url), urlsplit(signed_url)
        query = signed.query if signed_url != self.terms.public_url else parts.query
        return (parts.path or "/") + (f"?{query}" if query else "")

    def _url_of(self, shot: Shot) -> str:
        query = shot.target.partition("?")[2]
        if shot.target == self._target(self.terms.public_url):
            return self.terms.public_url
        return self.terms.public_url.partition("?")[0] + (f"?{query}" if query else "")


def without(shot: Shot, name: bytes) -> Shot:
    return with_headers(shot, *(field for field in shot.headers if field[0] != name))


def replaced(shot: Shot, name: bytes, text: bytes) -> Shot:
    """With another value of one header."""
    fields = (text if other == name else before for other, before in shot.headers)
    names = (other for other, _ in shot.headers)
    return with_headers(shot, *zip(names, fields, strict=True))


def with_headers(shot: Shot, *fields: tuple[bytes, bytes]) -> Shot:
    return changed(shot, headers=fields)


def changed(shot: Shot, **changes: Any) -> Shot:
    return structs.replace(shot, **changes)


def respelled(body: bytes) -> bytes | None:
    """The same JSON in other bytes, as decoding and encoding makes it; None for no JSON."""
    try:
        value = json.decode(body)
    except ValueError:
        return None
    spelled = json.format(json.encode(value), indent=3) + b"\n"
    return spelled if spelled != body and isinstance(value, dict | list) else None


def altered(body: bytes) -> bytes:
    """One letter of the mark is another one, or else a letter in the middle."""
    at = body.find(MARK.encode())
    at = at + len(MARK) + 8 if at >= 0 else len(body) // 2
    while at < len(body) - 1 and not body[at : at + 1].isalnum():
        at += 1
    letter = b"1" if body[at : at + 1] != b"1" else b"2"
    return body[:at] + letter + body[at + 1 :]
