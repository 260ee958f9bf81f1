"""From answers to a verdict: pure, and the only place that says what a good answer is."""

from collections.abc import Sequence
from typing import Final

from ringback.torture.case import Answer, Case, Outcome, Verdict

SECRET_CHARS_MIN: Final = 8
_TRACES: Final = (b"Traceback (most recent call last)", b"DEBUG = True", b"stack trace")
_FAULTS: Final = {
    "timeout": "no answer in time",
    "closed": "the connection was closed without an answer",
    "refused": "nobody listens there",
    "garbage": "the answer is not HTTP",
    "tls": "its certificate is not trusted (--cafile adds an authority)",
}


def judged(case: Case, answers: Sequence[Answer], *, group: str, secrets: Sequence[str]) -> Verdict:
    """`secrets` must not be in an answer, whatever the case."""
    if leak := _leak(case, answers, secrets):
        return verdict(
            case,
            group,
            Outcome.WRONG,
            leak,
            why="whoever reads the answer can sign whatever they like",
            todo="answer with a status and a word; what went wrong belongs in the log",
        )
    complaint = _complaint(case, answers)
    if not complaint:
        return verdict(case, group, Outcome.OK, statuses(answers))
    outcome = Outcome.ADVICE if case.is_advice else Outcome.WRONG
    return verdict(case, group, outcome, complaint, why=case.why, todo=case.todo)


def verdict(
    case: Case, group: str, outcome: Outcome, saw: str, *, why: str = "", todo: str = ""
) -> Verdict:
    return Verdict(
        group=group,
        name=case.name,
        title=case.title,
        outcome=outcome,
        saw=saw,
        why=why,
        todo=todo,
    )


def statuses(answers: Sequence[Answer]) -> str:
    """What was answered, each once: `200 ×3, 401`."""
    counts: dict[str, int] = {}
    for answer in answers:
        word = str(answer.status) if answer.status is not None else _FAULTS[answer.fault]
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(
        word if number == 1 else f"{word} ×{number}" for word, number in counts.items()
    )


def _complaint(case: Case, answers: Sequence[Answer]) -> str:
    """What is wrong with the answers; empty if nothing is."""
    if case.want == "once":
        accepted = [answer for answer in answers if _is_accepted(answer)]
        crashed = [answer for answer in answers if _is_crash(case, answer)]
        if accepted and not crashed:
            return ""
        return f"{statuses(answers)}: {'some crashed' if crashed else 'none was accepted'}"
    bad = [answer for answer in answers if not _is_right(case, answer)]
    if bad:
        return f"{statuses(answers)}: {_words(case, bad[0])}"
    late = max((answer.took_s for answer in answers), default=0.0)
    return f"answered after {late:.1f} s" if case.within_s and late > case.within_s else ""


def _is_right(case: Case, answer: Answer) -> bool:
    if answer.status is None:
        return case.may_cut and answer.fault == "closed"
    match case.want:
        case "accept":
            return 200 <= answer.status < 300
        case "refuse":
            return 300 <= answer.status < 500
        case _:
            return 200 <= answer.status < 500


def _is_accepted(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def _is_crash(case: Case, answer: Answer) -> bool:
    if answer.status is None:
        return not (case.may_cut and answer.fault == "closed")
    return answer.status >= 500


def _words(case: Case, answer: Answer) -> str:
    if answer.status is None:
        return "it crashed, hung or is gone"
    if answer.status >= 500:
        return "it crashed, and the provider will come again"
    if answer.status < 300:
        return "it was accepted"
    if answer.status < 400:
        return "providers follow no redirect"
    return "it was refused" if case.want == "accept" else "it is no answer for that"


def _leak(case: Case, answers: Sequence[Answer], secrets: Sequence[str]) -> str:
    texts = [text.encode() for text in secrets if len(text) >= SECRET_CHARS_MIN]
    for answer in answers:
        said = answer.head + answer.body
        if any(text in said for text in texts):
            return "the answer contains the secret"
        if any(text in said for text in case.never):
            return "the answer tells what the right signature would have been"
        if any(trace in said for trace in _TRACES):
            return "the answer contains a stack trace"
    return ""
