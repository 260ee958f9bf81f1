"""The test delivery of `ringback doctor --url`: one real POST, by the client that delivers.

So it shows what a delivery would meet: the name, the egress policy, TLS, the answer. It is signed
with a key that nobody has, unless one is given, so a receiver that verifies should refuse it.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from ringback import __version__
from ringback.cli.checks import Finding
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import SecretError
from ringback.model import Secret, SignatureScheme, SignatureType
from ringback.rules.egress import Policy
from ringback.sign.delivery import signed_headers
from ringback.sign.secret import RANDOM_BYTES, generate
from ringback.wire.client import Client
from ringback.wire.port import Failure, Reason, Reply, Request
from ringback.wire.target import target

BODY: Final = b'{"type":"ringback.doctor","detail":"a test delivery, nothing happened"}'
# Receivers refuse what is five minutes off (Standard Webhooks); we speak up before that.
CLOCK_OFF_WARN_S: Final = 30
CLOCK_OFF_FAIL_S: Final = 300
ADVICE: Final = {
    Reason.REFUSED: "check the port, and that the receiver runs",
    Reason.CONNECT_TIMEOUT: "a firewall on the way, or raise connect_timeout_s",
    Reason.TLS: "the receiver's certificate must be valid for this name",
    Reason.TIMEOUT: "the receiver must answer within delivery_timeout_s",
}


async def endpoint(url: str, settings: Settings, *, secret: str | None) -> list[Finding]:
    """What a delivery to this URL meets."""
    clock = Clock()
    try:
        request = _request(url, settings, clock, secret=secret)
    except (ValueError, SecretError) as error:
        return [Finding("fail", "endpoint", str(error))]
    client = Client(settings, clock, Policy(allow=settings.egress_networks()))
    try:
        end = await client.post(request)
    finally:
        await client.close()
    if isinstance(end, Failure):
        return [_failed(end)]
    return [answered(end, has_secret=secret is not None), *clock_against(end, clock.now_ms())]


def answered(reply: Reply, *, has_secret: bool) -> Finding:
    """A verdict on the status. Refusing our test is right, if we have no key to sign it with."""
    took = f"answered {reply.status} in {reply.timings.total_ms:.0f} ms"
    if 200 <= reply.status <= 299:
        return Finding("ok", "endpoint", took)
    if not has_secret and reply.status in {400, 401, 403}:
        why = "reachable; it refused a test that it cannot verify (--secret whsec_... signs it)"
        return Finding("ok", "endpoint", f"{took}: {why}")
    if 300 <= reply.status <= 399:
        return Finding("fail", "endpoint", f"{took}: redirects are not followed; register its end")
    return Finding("warn", "endpoint", f"{took}: deliveries need a 2xx; see the receiver's log")


def clock_against(reply: Reply, now_ms: int) -> list[Finding]:
    """This machine's clock against the Date of the answer, if it has one."""
    try:
        date = parsedate_to_datetime(reply.header("date") or "")
    except ValueError:
        return []
    off_s = abs(now_ms / 1000 - date.replace(tzinfo=date.tzinfo or UTC).timestamp())
    if off_s < CLOCK_OFF_WARN_S:
        return [Finding("ok", "clock", "agrees with the receiver's")]
    level: Literal["warn", "fail"] = "warn" if off_s < CLOCK_OFF_FAIL_S else "fail"
    detail = f"{off_s:.0f} s away from the receiver's; at 300 s signatures are refused: check NTP"
    return [Finding(level, "clock", detail)]


def _request(url: str, settings: Settings, clock: Clock, *, secret: str | None) -> Request:
    now_ms = clock.now_ms()
    key = secret or generate(SignatureType.HMAC256, clock.token_bytes(RANDOM_BYTES))
    headers = signed_headers(
        SignatureScheme.STANDARD,
        [Secret(key)],
        family=settings.header_family,
        msg_id=clock.new_id("msg"),
        timestamp_s=now_ms // 1000,
        body=BODY,
        now_ms=now_ms,
    )
    aim = target(url, {}, user_agent=f"ringback/{__version__} (doctor)")
    return Request(aim, b"Content-Type: application/json\r\n" + headers, BODY)


def _failed(end: Failure) -> Finding:
    advice = f"; {ADVICE[end.reason]}" if end.reason in ADVICE else ""
    return Finding("fail", "endpoint", f"{end.detail}{advice}")
