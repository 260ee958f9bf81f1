"""TLS over real sockets: who is believed, who is not, and what is said about it."""

import ssl
import warnings

import pytest
import trustme

from ringback.errors import ConfigError
from ringback.testing.certificates import LONG_AGO, self_signed, served
from ringback.testing.chaos import ChaosReceiver
from ringback.testing.posting import IMPATIENT_S, LOOPS, PATIENT_S, run, sender
from ringback.wire.port import Failure, Reason, Reply
from ringback.wire.tls import checked, delivery_context

on_both_loops = pytest.mark.parametrize("loop", LOOPS)

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


def trusting() -> ssl.SSLContext:
    context = delivery_context()
    AUTHORITY.configure_trust(context)
    return context


def lookup(_: str) -> list[str]:
    return ["127.0.0.1"]


@on_both_loops
def test_a_trusted_receiver_is_posted_to_by_name_and_kept(loop: str) -> None:
    asked_for: list[str | None] = []

    async def story() -> None:
        context = served(AUTHORITY.issue_cert("hooks.test"))
        context.sni_callback = lambda _, name, __: asked_for.append(name)
        async with (
            ChaosReceiver(tls=context) as receiver,
            sender(ssl_context=trusting(), lookup=lookup) as post,
        ):
            for number in range(3):
                outcome = await post(receiver.url("/ok", host="hooks.test"))
                assert isinstance(outcome, Reply), outcome
                assert (outcome.timings.tls_ms is None) == (number > 0)
            assert (receiver.connections, len(receiver.requests)) == (1, 3)
            assert asked_for == ["hooks.test"]

    run(story(), loop=loop)


@on_both_loops
def test_a_large_body_and_other_framings_over_tls(loop: str) -> None:
    async def story() -> None:
        body = bytes(range(256)) * 8_192
        async with (
            ChaosReceiver(tls=served(AUTHORITY.issue_cert("127.0.0.1"))) as receiver,
            sender(ssl_context=trusting()) as post,
        ):
            for path in ("/ok", "/chunked", "/until-close", "/close", "/ok"):
                assert isinstance(await post(receiver.url(path), body), Reply)
            assert all(request.body == body for request in receiver.requests)

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (AUTHORITY.issue_cert("other.test"), "ostname mismatch"),
        (AUTHORITY.issue_cert("127.0.0.1"), "ostname mismatch"),
        (AUTHORITY.issue_cert("hooks.test", not_after=LONG_AGO), "expired"),
        (STRANGER.issue_cert("hooks.test"), "unable to get local issuer certificate"),
        (self_signed(), "self-signed certificate"),
    ],
    ids=["wrong host", "address only", "expired", "unknown authority", "self-signed"],
)
def test_certificates_that_are_refused(loop: str, certificate: trustme.LeafCert, said: str) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver(tls=served(certificate)) as receiver,
            sender(ssl_context=trusting(), lookup=lookup) as post,
        ):
            outcome = await post(receiver.url("/ok", host="hooks.test"))
            assert isinstance(outcome, Failure), outcome
            assert outcome.reason is Reason.TLS
            assert said in outcome.detail
            assert not receiver.requests
            await receiver.disconnected()

    run(story(), loop=loop)


def test_private_authorities_are_not_trusted_unless_asked_for() -> None:
    async def story() -> None:
        async with (
            ChaosReceiver(tls=served(AUTHORITY.issue_cert("hooks.test"))) as receiver,
            sender(lookup=lookup) as post,
        ):
            outcome = await post(receiver.url("/ok", host="hooks.test"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.TLS

    run(story())


@on_both_loops
def test_old_tls_is_refused(loop: str) -> None:
    async def story() -> None:
        context = served(AUTHORITY.issue_cert("127.0.0.1"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        async with (
            ChaosReceiver(tls=context) as receiver,
            sender(ssl_context=trusting()) as post,
        ):
            outcome = await post(receiver.url("/ok"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.TLS
            assert not receiver.requests

    run(story(), loop=loop)


def patience(expected: Reason) -> float:
    is_late = expected in (Reason.TIMEOUT, Reason.CONNECT_TIMEOUT)
    return IMPATIENT_S if is_late else PATIENT_S


@on_both_loops
@pytest.mark.parametrize(
    ("on_accept", "reason"), [("hang", Reason.CONNECT_TIMEOUT), ("reset", Reason.TLS)]
)
def test_handshakes_that_stall_or_break(loop: str, on_accept: str, reason: Reason) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver() as receiver,
            sender(ssl_context=trusting(), connect_timeout_s=patience(reason)) as post,
        ):
            receiver.on_accept = on_accept
            outcome = await post(receiver.url("/").replace("http://", "https://"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is reason
            await receiver.disconnected()

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/hang", Reason.TIMEOUT),
        ("/drip/0.05", Reason.TIMEOUT),
        ("/reset/body", Reason.RESET),
        ("/close/body", Reason.RESET),
        ("/endless/headers", Reason.BAD_RESPONSE),
    ],
)
def test_misbehaviour_inside_tls(loop: str, path: str, reason: Reason) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver(tls=served(AUTHORITY.issue_cert("127.0.0.1"))) as receiver,
            sender(ssl_context=trusting(), delivery_timeout_s=patience(reason)) as post,
        ):
            outcome = await post(receiver.url(path))
            assert isinstance(outcome, Failure)
            assert outcome.reason is reason
            await receiver.disconnected()

    run(story(), loop=loop)


def test_a_context_that_does_not_verify_is_refused() -> None:
    context = delivery_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert checked(context) is context
    context.check_hostname = False
    with pytest.raises(ConfigError, match="does not verify"):
        checked(context)
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError, match="does not verify"):
        checked(context)
