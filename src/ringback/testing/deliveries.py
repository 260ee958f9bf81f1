"""What a network and a provider do to a sequence of requests, the same for the same seed.

    for request in deliveries(requests, seed=7).drop(0.1).duplicate(0.3).reorder(5).corrupt(0.1):
        request.send(client)

Each step gives a new sequence and draws from its own randomness, so a step more does not change
what the others did. Nothing here waits: what is delayed comes later in the sequence, and is as old.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Final, overload

from msgspec import structs

from ringback.testing.requests import SignedRequest

Damage = Callable[[SignedRequest, Random], SignedRequest]


class Deliveries(Sequence[SignedRequest]):
    """Requests in the order in which they arrive. `lost` are those that never do."""

    def __init__(
        self,
        requests: Iterable[SignedRequest],
        *,
        seed: int = 0,
        lost: Sequence[SignedRequest] = (),
        step: int = 0,
    ) -> None:
        self._requests = tuple(requests)
        self._seed = seed
        self._step = step
        self.lost = tuple(lost)

    @overload
    def __getitem__(self, index: int) -> SignedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SignedRequest]: ...
    def __getitem__(self, index: int | slice) -> SignedRequest | Sequence[SignedRequest]:
        return self._requests[index]

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[SignedRequest]:
        return iter(self._requests)

    def drop(self, share: float) -> "Deliveries":
        """That share is lost, about (0 to 1)."""
        random = self._random()
        fates = [(request, random.random() < share) for request in self._requests]
        lost = [_marked(request, "lost") for request, is_lost in fates if is_lost]
        return self._next([request for request, is_lost in fates if not is_lost], lost=lost)

    def duplicate(self, share: float, *, times: int = 1) -> "Deliveries":
        """That share comes again, right behind; byte for byte the same."""
        random = self._random()
        found: list[SignedRequest] = []
        for request in self._requests:
            found.append(request)
            if random.random() < share:
                found += [_marked(request, "duplicate")] * times
        return self._next(found)

    def reorder(self, within: int) -> "Deliveries":
        """None is further than so many places from where it was."""
        random = self._random()
        places = [(at + random.uniform(0, within), at) for at in range(len(self._requests))]
        return self._next([self._requests[at] for _, at in sorted(places)])

    def delay(self, share: float, *, seconds: int, places: int = 10) -> "Deliveries":
        """That share comes so many places later, and was signed so many seconds earlier."""
        random = self._random()
        timed: list[tuple[float, SignedRequest]] = []
        for at, request in enumerate(self._requests):
            if random.random() < share:
                timed.append((at + places + 0.5, _marked(request.aged(seconds), "delayed")))
            else:
                timed.append((at, request))
        return self._next([request for _, request in sorted(timed, key=lambda pair: pair[0])])

    def corrupt(self, share: float) -> "Deliveries":
        """That share is damaged on the way, in its body or its signature: it must be refused.

        A scheme that does not prove the body may still accept one whose body was damaged.
        """
        random = self._random()
        return self._next(
            [
                _marked(random.choice(DAMAGES)(request, random), "corrupt")
                if random.random() < share
                else request
                for request in self._requests
            ]
        )

    def _random(self) -> Random:
        return Random(f"{self._seed}.{self._step}")  # noqa: S311  not a secret

    def _next(
        self, requests: Sequence[SignedRequest], *, lost: Sequence[SignedRequest] = ()
    ) -> "Deliveries":
        return Deliveries(requests, seed=self._seed, lost=(*self.lost, *lost), step=self._step + 1)


def _flip_a_bit(request: SignedRequest, random: Random) -> SignedRequest:
    if not request.body:
        return _append(request, random)
    at = random.randrange(len(request.body))
    flipped = bytes([request.body[at] ^ 1])
    return structs.replace(request, body=request.body[:at] + flipped + request.body[at + 1 :])


def _cut_short(request: SignedRequest, random: Random) -> SignedRequest:
    if not request.body:
        return _append(request, random)
    return structs.replace(request, body=request.body[: random.randrange(len(request.body))])


def _append(request: SignedRequest, _: Random) -> SignedRequest:
    return structs.replace(request, body=request.body + b"\n")


def _alter_the_signature(request: SignedRequest, random: Random) -> SignedRequest:
    """One letter of it is another one. Where it is in the body, the body is damaged."""
    if not (names := request.signatures()):
        return _flip_a_bit(request, random)
    name = random.choice(names)
    text = request.headers[name]
    at = random.choice([place for place, letter in enumerate(text) if letter.isalnum()])
    other = "0" if text[at] != "0" else "1"
    altered = text[:at] + other + text[at + 1 :]
    return structs.replace(request, headers={**request.headers, name: altered})


DAMAGES: Final[Sequence[Damage]] = (_flip_a_bit, _cut_short, _append, _alter_the_signature)


def _marked(request: SignedRequest, damage: str) -> SignedRequest:
    return structs.replace(request, damage=request.damage | {damage})
