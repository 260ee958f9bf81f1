"""What one phase of load is, and what the generator says about it: values only."""

from msgspec import Struct, field

from bench import mark
from bench.figures import Latency


class Plan(Struct, frozen=True):
    """One phase of load. `rate` 0 is the closed loop: every connection sends when it was answered.

    `fan` is the number of deliveries that a message causes. In the closed loop, sending pauses
    while more than `backlog_max` deliveries are accepted and not yet arrived (0: never pauses), so
    that what is measured is a rate the server can hold. `messages_max` 0 is no limit but time.
    `ports` are those of all processes of the server; connections take turns among them.
    """

    host: str
    port: int
    paths: tuple[str, ...]
    run: int
    token: str = ""
    fan: int = 1
    connections: int = 64
    rate: float = 0.0
    warmup_s: float = 3.0
    window_s: float = 20.0
    grace_s: float = 30.0
    payload_bytes: int = 300
    backlog_max: int = 1_000
    messages_max: int = 0
    counter: str = ""
    status: int = 202
    ports: tuple[int, ...] = ()
    is_bare: bool = False  # the payload alone, as a delivery has it, instead of a Svix message
    has_idempotency: bool = False


class Sent(Struct, frozen=True):
    """What a phase of load came to.

    `refused` are the messages that surely were not accepted. `broken` ended without an answer and
    may have been accepted or not. `late` is how late the generator itself was in the open loop.
    """

    sent: int
    accepted: int
    statuses: dict[int, int]
    refused: list[int]
    broken: int
    unanswered: int
    start_ns: int
    window_ns: int
    end_ns: int
    cpu_s: float
    accepted_in_window: int
    accept: Latency
    late: Latency
    connects_failed: int = field(default=0)


def template(plan: Plan, path: str) -> tuple[bytes, int]:
    """Request bytes for `%` with a run's numbers, and how many `(run, sequence)` come before.

    The pattern takes (run, sequence, run, sequence, sent_ns) with an idempotency key and
    (run, sequence, sent_ns) without. All numbers have a fixed width, so Content-Length is constant.
    """
    before, after = mark.payload(plan.payload_bytes)
    if not plan.is_bare:
        before = b'{"eventType":"payment_intent.succeeded","payload":' + before
        after += b"}"
    length = len(before) + mark.WIDTH + len(after)
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {plan.host}:{plan.port}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    if plan.token:
        head.append(f"Authorization: Bearer {plan.token}")
    fixed = "\r\n".join(head).replace("%", "%%").encode()
    key = b"\r\nIdempotency-Key: auto_%04d%010d" if plan.has_idempotency else b""
    body = before.replace(b"%", b"%%") + mark.PATTERN + after.replace(b"%", b"%%")
    return fixed + key + b"\r\n\r\n" + body, int(plan.has_idempotency)
