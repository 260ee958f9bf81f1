"""Fires the battery at a receiver, case by case, and says what it handled wrongly.

    good? ──no──► the verdict on that alone: everything else would mean nothing
      └──yes──► each case: make · measure by `verify` · fire · judge · did it take effect?

Bounded: the battery is a fixed list, each shot has its time, and the whole has `seconds_max`; what
could not be tried any more is named as skipped, and the report says that it is not whole.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct, structs

from ringback.clock import Clock
from ringback.errors import ConfigError
from ringback.torture.battery import GROUPS, Group, MakeCase
from ringback.torture.case import Answer, Case, Outcome, Verdict
from ringback.torture.count import Count
from ringback.torture.dial import Dialler, place_of
from ringback.torture.judge import judged, verdict
from ringback.torture.maker import Maker, Terms

TIMEOUT_S: Final = 10.0
SECONDS_MAX: Final = 300.0
PATIENCE_S: Final = 10.0
LINGER_S: Final = 0.5

_KEPT: Final = Case(
    name="kept-first",
    title="what was acknowledged is kept by then",
    want="accept",
    why="if the receiver dies between the answer and the keeping, the event is lost for ever",
    todo="commit the event before you answer, and answer 5xx if that fails",
)
_KEPT_SHOTS: Final = 5


class Rules(Struct, frozen=True, kw_only=True):
    """How long to wait, and where to look.

    may_be_anywhere  the receiver's owner said that it is theirs
    effects, kept    see `Count`: events that took effect, and events that are kept
    patience_s       how long an event may take to take effect
    linger_s         how long to look for one that does so once too often
                     (neither is looked at for a provider whose events we cannot tell apart)
    cafile           further certificate authorities, in PEM
    only             names of cases or groups; all if empty
    """

    may_be_anywhere: bool = False
    timeout_s: float = TIMEOUT_S
    seconds_max: float = SECONDS_MAX
    patience_s: float = PATIENCE_S
    linger_s: float = LINGER_S
    effects: str | None = None
    kept: str | None = None
    cafile: str | None = None
    only: frozenset[str] = frozenset()


class Report(Struct, frozen=True):
    """`is_whole` is False if time ran out, or if the receiver was gone."""

    verdicts: tuple[Verdict, ...]
    is_whole: bool

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome is outcome for one in self.verdicts)

    @property
    def is_passed(self) -> bool:
        return self.is_whole and not self.count(Outcome.WRONG)


async def torture(
    terms: Terms,
    rules: Rules,
    clock: Clock,
    *,
    tell: Callable[[Verdict], None] = lambda verdict: None,
) -> Report:
    """Raises Misconfigured, or ConfigError for a target that must not or cannot be tried."""
    place = await place_of(terms.url, may_be_anywhere=rules.may_be_anywhere)
    dialler = Dialler(place, clock, timeout_s=rules.timeout_s, cafile=rules.cafile)
    session = _Session(Maker(terms, clock), rules, clock, dialler=dialler, tell=tell)
    return await session.run()


class _Session:
    def __init__(
        self,
        make: Maker,
        rules: Rules,
        clock: Clock,
        *,
        dialler: Dialler,
        tell: Callable[[Verdict], None],
    ) -> None:
        self._make = make
        self._rules = rules
        self._clock = clock
        self._dialler = dialler
        self._tell = tell
        self._verdicts: list[Verdict] = []
        self._end_s = clock.monotonic() + rules.seconds_max
        self._effects = self._count(rules.effects)
        self._kept = self._count(rules.kept)
        self._is_over = ""

    async def run(self) -> Report:
        self._check_names()
        for count in filter(None, (self._effects, self._kept)):
            await count.now()  # A wrong command should not end the run half way through.
        for group in GROUPS:
            await self._group(group)
        return Report(tuple(self._verdicts), not self._is_over)

    async def _group(self, group: Group) -> None:
        before = await self._calm(self._effects) if group.is_harmless else 0
        fired = 0
        for make_case in group.makers:
            fired += await self._case(group, make_case)
        if self._effects and group.is_harmless and fired and not self._is_over:
            self._say(_harm(group, await self._calm(self._effects) - before))
        if group.name == "sound" and not self._is_over:
            await self._kept_first(group)

    async def _case(self, group: Group, make_case: MakeCase) -> int:
        """How many shots were fired."""
        name = make_case.__name__
        case = make_case(self._make)
        if not self._is_chosen(group, case):
            return 0
        if not self._is_over and self._clock.monotonic() > self._end_s:
            self._is_over = f"{self._rules.seconds_max:g} s were up"
        skip = self._is_over or case.skip
        if not skip:
            case = self._measured(case)
            skip = "" if case.shots else "its scheme cannot tell that from a good request"
        if skip:
            self._say(verdict(case, group.name, Outcome.SKIPPED, skip))
            return 0
        found = await self._tried(group, case)
        self._say(found)
        if name == "good" and found.outcome is Outcome.WRONG:
            self._is_over = "the good request failed, so nothing else would mean anything"
        return len(case.shots)

    def _check_names(self) -> None:
        """A misspelled name must not make a receiver pass."""
        if not self._rules.only:
            return
        groups = [group.name for group in GROUPS]
        cases = [make(self._make).name for group in GROUPS for make in group.makers]
        if unknown := self._rules.only - {*groups, *cases, _KEPT.name}:
            raise ConfigError(
                f"there is no {sorted(unknown)[0]!r} to choose; there are"
                f" {', '.join([*groups, _KEPT.name, *cases])}"
            )

    def _is_chosen(self, group: Group, case: Case) -> bool:
        only = self._rules.only
        return not only or case.name in {*only, "good"} or group.name in only

    def _measured(self, case: Case) -> Case:
        """Without the shots of which our own `verify` thinks otherwise."""
        if not case.is_ours_to_judge or case.want not in {"accept", "refuse"}:
            return case
        wanted = case.want == "accept"
        shots = tuple(shot for shot in case.shots if self._make.accepts(shot) is wanted)
        return structs.replace(case, shots=shots)

    async def _tried(self, group: Group, case: Case) -> Verdict:
        before = 0 if case.effects is None else await self._calm(self._effects)
        answers = await self._fired(case)
        if all(answer.fault == "refused" for answer in answers):
            self._is_over = "nobody listens there any more"
        terms = self._make.terms
        secrets = {terms.signing, terms.verifying} if terms.scheme.keys else set()
        found = judged(case, answers, group=group.name, secrets=sorted(secrets))
        if self._effects is None or case.effects is None or found.outcome is Outcome.WRONG:
            return found
        return await self._with_effects(case, found, before)

    async def _with_effects(self, case: Case, found: Verdict, before: int) -> Verdict:
        assert self._effects is not None  # noqa: S101  asked by the caller
        wanted = case.effects or 0
        after = await self._effects.settled(
            before + wanted, patience_s=self._rules.patience_s, linger_s=self._rules.linger_s
        )
        if after - before == wanted:
            return structs.replace(found, saw=f"{found.saw}; took effect {_times(wanted)}")
        saw = f"{found.saw}; took effect {_times(after - before)} instead of {_times(wanted)}"
        return structs.replace(found, outcome=Outcome.WRONG, saw=saw, why=case.why, todo=case.todo)

    async def _fired(self, case: Case) -> list[Answer]:
        async with self._dialler.held(case.held):
            match case.manner:
                case "on one connection":
                    return await self._dialler.fire(case.shots)
                case "together":
                    fired = [self._dialler.fire([shot]) for shot in case.shots]
                    return [
                        answer for answers in await asyncio.gather(*fired) for answer in answers
                    ]
                case _:
                    return [(await self._dialler.fire([shot]))[0] for shot in case.shots]

    async def _kept_first(self, group: Group) -> None:
        if not self._is_chosen(group, _KEPT):
            return
        if self._kept is None:
            skip = "say with --kept where to see how many events are kept"
            if self._rules.kept:
                skip = "all events that we can make for this provider have one id"
            self._say(verdict(_KEPT, group.name, Outcome.SKIPPED, skip))
            return
        late = 0
        for _ in range(_KEPT_SHOTS):
            before = await self._calm(self._kept)
            [answer] = await self._dialler.fire([self._make.shot()])
            is_kept = await self._kept.now() > before
            late += not is_kept and answer.status is not None and answer.status < 300
        outcome = Outcome.WRONG if late else Outcome.OK
        saw = f"{late} of {_KEPT_SHOTS} were not kept when they were acknowledged"
        why, todo = (_KEPT.why, _KEPT.todo) if late else ("", "")
        self._say(verdict(_KEPT, group.name, outcome, saw, why=why, todo=todo))

    async def _calm(self, count: Count | None) -> int:
        rules = self._rules
        if count is None:
            return 0
        return await count.calm(patience_s=rules.patience_s, linger_s=rules.linger_s)

    def _count(self, where: str | None) -> Count | None:
        if not where or not self._make.has_ids:
            return None
        return Count(where, self._clock, may_be_anywhere=self._rules.may_be_anywhere)

    def _say(self, found: Verdict) -> None:
        self._verdicts.append(found)
        self._tell(found)


def _harm(group: Group, effects: int) -> Verdict:
    return Verdict(
        group=group.name,
        name=f"{group.name}-effects",
        title="nothing of this took effect",
        outcome=Outcome.WRONG if effects else Outcome.OK,
        saw=f"took effect {_times(effects)}",
        why="what was not proven was processed, whatever the answer said" if effects else "",
        todo="verify first, and touch nothing before that" if effects else "",
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
