"""The tables at the end of the demo: what webhooks took, and what polling took beside them."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from payment import Payment


def bill(
    payments: Sequence[Payment], *, polled_at: Mapping[str, float], polls: int
) -> Iterator[str]:
    """Line by line. `polled_at` is when the poller saw each event, `polls` all it asked."""
    yield f"  {'order':<11}{'paid':>11}{'attempt':>9}{'after':>10}{'wait':>10}   answer"
    for payment in payments:
        yield from _attempts(payment)
    yield ""
    yield from _comparison(payments, polled_at=polled_at, polls=polls)


def _attempts(payment: Payment) -> Iterator[str]:
    head = f"  {payment.order:<11}{payment.price:>11}"
    before_s: float | None = None
    for number, attempt in enumerate(payment.attempts, 1):
        at_s = attempt.timestamp.timestamp()
        wait = "" if before_s is None else f"{at_s - before_s:.2f} s"
        answer = f"HTTP {attempt.response_status_code}" if attempt.response_status_code else "none"
        after_s = max(0.0, at_s - payment.paid_at)
        yield f"{head}{number:>9}{after_s:>8.2f} s{wait:>10}   {answer}"
        before_s, head = at_s, " " * len(head)


def _comparison(
    payments: Sequence[Payment], *, polled_at: Mapping[str, float], polls: int
) -> Iterator[str]:
    attempts = [attempt for payment in payments for attempt in payment.attempts]
    # Only who was up when the event came can be compared: the poller was never down, the shop was.
    prompt = [payment for payment in payments if payment.was_taken_at_once]
    told_s = [payment.shipped_at - payment.paid_at for payment in prompt]
    saw_s = [polled_at[payment.event] - payment.paid_at for payment in prompt]
    down = sum(attempt.status != 0 for attempt in attempts)
    rows = [
        ("", "webhooks", "polling every second"),
        ("requests", f"{len(attempts)}", f"{polls}"),
        ("of them in vain", f"{down}", f"{polls - len(set(polled_at.values()))}"),
        ("delay, on average", f"{mean(told_s):.3f} s", f"{mean(saw_s):.3f} s"),
        ("delay, at most", f"{max(told_s):.3f} s", f"{max(saw_s):.3f} s"),
    ]
    for name, webhooks, polling in rows:
        yield f"  {name:<20}{webhooks:>12}{polling:>24}"
    yield f"  (delay of the {len(prompt)} events that came while the shop was up; requests of all)"
