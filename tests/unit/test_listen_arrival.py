"""What `ringback listen` finds of a request: handshakes are carried through to their end."""

import asyncio

from ringback.listen.arrival import Finding, Judge
from ringback.listen.request import Head
from ringback.receive import Draft, Signed, providers, sign
from ringback.sign.providers import aws_sns
from ringback.testing.provider_keys import key_pair

NOW_S = 1_767_225_600
SNS = next(scheme for scheme in providers() if scheme.name == "aws_sns")
TOPIC, _, PEM = key_pair(SNS, 1).signing.partition("\n")
CONFIRM = f"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}"


def confirmation() -> Signed:
    """A subscription that SNS wants confirmed by a visit."""
    fields = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe",
        "SubscribeURL": f"{CONFIRM}&Token=abc123",
        "Token": "abc123",
        "Timestamp": "2026-01-01T00:00:00.000Z",
    }
    return aws_sns.signed(Draft(body=b"", timestamp_s=NOW_S), fields, PEM)


class Sns:
    """What a fetch finds at SNS; it remembers what was asked."""

    def __init__(self, request: Signed, *, confirms: bool = True) -> None:
        self.asked: list[str] = []
        self._pages = dict(request.documents)
        if confirms:
            self._pages[f"{CONFIRM}&Token=abc123"] = b"<ConfirmSubscriptionResponse/>"

    def __call__(self, url: str, /) -> bytes:
        self.asked.append(url)
        if url not in self._pages:
            raise OSError(f"{url} was refused")
        return self._pages[url]


def found(sns: Sns, request: Signed) -> Finding:
    judge = Judge("aws_sns", [TOPIC], fetch=sns)
    head = Head("POST", "/", is_1_0=False, headers=request.headers)
    return asyncio.run(judge.find(head, request.body, now_s=NOW_S))


def test_a_secret_that_comes_with_the_handshake_is_shown_and_verifies_what_follows() -> None:
    judge = Judge("asana", [])
    event = sign("asana", Draft(body=b'{"events":[]}', timestamp_s=NOW_S), "b537207f")
    hello = Signed("POST", "/", (("X-Hook-Secret", "b537207f"),), b"")

    def find(request: Signed) -> Finding:
        head = Head("POST", "/", is_1_0=False, headers=request.headers)
        return asyncio.run(judge.find(head, request.body, now_s=NOW_S))

    assert find(event).complaint.startswith("Misconfigured")
    assert (find(hello).is_handshake, find(hello).secret) == (True, "b537207f")
    assert find(hello).answer.headers == hello.headers
    assert find(event).is_verified


def test_a_secret_that_was_given_is_not_replaced_by_whoever_asks() -> None:
    judge = Judge("asana", ["mine"])
    event = sign("asana", Draft(body=b'{"events":[]}', timestamp_s=NOW_S), "theirs")
    for headers in ((("X-Hook-Secret", "theirs"),), event.headers):
        head = Head("POST", "/", is_1_0=False, headers=headers)
        finding = asyncio.run(judge.find(head, event.body, now_s=NOW_S))
    assert finding.complaint.startswith("Mismatch")


def test_a_subscription_is_confirmed_before_it_is_called_a_handshake() -> None:
    sns = Sns(confirmation())
    finding = found(sns, confirmation())
    assert (finding.is_handshake, finding.answer.status) == (True, 200)
    assert sns.asked[-1] == f"{CONFIRM}&Token=abc123"


def test_a_subscription_that_could_not_be_confirmed_is_a_complaint() -> None:
    finding = found(Sns(confirmation(), confirms=False), confirmation())
    assert (finding.is_verified, finding.is_handshake) == (False, False)
    assert finding.answer.status == 503
    assert "sns.us-east-1.amazonaws.com/ could not be fetched" in finding.complaint
    assert "abc123" not in finding.complaint
