"""SNS, local vectors: foreign topics, certificates and confirmations, and fields divided anew."""

import json
from typing import Any

import pytest
from msgspec import structs

from ringback.errors import KeyNeeded, Malformed, Mismatch, Missing, Stale
from ringback.receive import Draft, Reply, Signed, VerifiedEvent, respond, verify
from ringback.sign.providers import aws_sns
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
TOPIC = "arn:aws:sns:us-east-1:123456789012:payments"
PEM = key_pair(aws_sns.SCHEME, 1).signing.partition("\n")[2]
NOTIFICATION = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": TOPIC,
    "Subject": "My First Message",
    "Message": '{"hello":\n"wörld"}',
    "Timestamp": "2025-01-01T00:00:00.123Z",
}
SUBSCRIBE_URL = (
    "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"
    f"&TopicArn={TOPIC}&Token=2336412f37fb687f5d51e6e241d09c805"
)
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37fb687f5d51e6e241d09c805",
    "TopicArn": TOPIC,
    "Message": "You have chosen to subscribe to the topic.",
    "SubscribeURL": SUBSCRIBE_URL,
    "Timestamp": "2025-01-01T00:00:00.000Z",
}


def made(fields: dict[str, str], *, version: str = "1", pem: str = PEM, **more: Any) -> Signed:
    request = aws_sns.signed(Draft(body=b"", timestamp_s=NOW_S), fields, pem, version=version)
    body = json.dumps({**json.loads(request.body), **more}, indent=2).encode()
    return Signed(request.method, request.url, request.headers, body, request.documents)


def received(request: Signed, **changes: Any) -> VerifiedEvent:
    arguments: dict[str, Any] = {
        "secrets": TOPIC,
        "now_s": NOW_S,
        "documents": request.documents,
        **changes,
    }
    return verify("aws_sns", request.headers, request.body, **arguments)


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature_are_accepted(version: str) -> None:
    event = received(made(NOTIFICATION, version=version))

    assert event.id == NOTIFICATION["MessageId"]
    assert (event.type, event.timestamp_s) == ("My First Message", NOW_S)
    assert event.is_id_signed
    assert event.payload == NOTIFICATION
    without = {name: text for name, text in NOTIFICATION.items() if name != "Subject"}
    assert received(made(without, version=version)).type == "Notification"
    assert received(made(without, version=version, Subject=None)).type == "Notification"


def test_what_is_not_signed_is_not_shown() -> None:
    attributes = {"event": {"Type": "String", "Value": "order.paid"}}

    event = received(
        made(NOTIFICATION, MessageAttributes=attributes, UnsubscribeURL="https://evil.example/")
    )
    assert event.payload == NOTIFICATION
    goodbye = {**CONFIRMATION, "Type": "UnsubscribeConfirmation"}
    assert received(made(goodbye, Subject="forged")).type == "UnsubscribeConfirmation"


@pytest.mark.parametrize("name", [*NOTIFICATION, "Signature", "SignatureVersion"])
def test_no_signed_field_can_be_changed(name: str) -> None:
    good = json.loads(made(NOTIFICATION).body)
    others: list[Any] = [good[name] + "A", good[name][:-1], good[name].swapcase(), "", None, 1, []]
    for changed in others:
        if changed == good[name]:
            continue
        altered = json.dumps({**good, name: changed}).encode()
        request = structs.replace(made(NOTIFICATION), body=altered)
        with pytest.raises((Mismatch, Malformed)):
            received(request)


def test_a_subject_that_is_empty_is_a_subject() -> None:
    with pytest.raises(Mismatch):
        received(made({n: t for n, t in NOTIFICATION.items() if n != "Subject"}, Subject=""))
    assert received(made({**NOTIFICATION, "Subject": ""})).type == "Notification"


def test_only_the_message_may_have_lines() -> None:
    """Else a message could be published that is also signed as another one with another id."""
    published = {**NOTIFICATION, "Message": "a\nMessageId\nforged\nSubject\nb"}
    del published["Subject"]
    other = {
        **NOTIFICATION,
        "Message": "a",
        "MessageId": "forged",
        "Subject": f"b\nMessageId\n{NOTIFICATION['MessageId']}",
    }

    assert aws_sns._content(published) == aws_sns._content(other)
    assert received(made(published)).id == NOTIFICATION["MessageId"]
    with pytest.raises(Malformed):
        received(made(other))


def test_the_topic_is_one_s_own() -> None:
    with pytest.raises(Mismatch):
        received(made({**NOTIFICATION, "TopicArn": TOPIC.replace("1234", "6666")}))
    both = ["arn:aws:sns:eu-west-1:1:other", TOPIC]
    assert received(made(NOTIFICATION), secrets=both).secret_index == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.evil.amazonaws.com.evil.com/SimpleNotificationService-0a.pem",
        "https://sns.us-east-1.amazonaws.com.evil.com/SimpleNotificationService-0a.pem",
        "https://sns.us-east-1.amazonaws.com/other.pem",
        "https://sns.us-east-1.amazonaws.com/x/SimpleNotificationService-0a.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem?x",
        "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-0a.pem",
        "https://evil@sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://sns.us-east-1.amazonaws.com@evil.com/SimpleNotificationService-0a.pem",
        "https://evil.com/https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://s3.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://sns.amazonaws.com/SimpleNotificationService-0a.pem\n",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0G.pem",
        "file:///etc/passwd",
        "",
        None,
    ],
)
def test_only_sns_s_own_certificates_are_asked_for(url: str | None) -> None:
    with pytest.raises(Malformed):
        received(made(NOTIFICATION, SigningCertURL=url), documents={})


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a.pem",
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5.pem",
    ],
)
def test_sns_s_own_certificates_are_asked_for(url: str) -> None:
    with pytest.raises(KeyNeeded) as caught:
        received(made(NOTIFICATION, SigningCertURL=url), documents={})
    assert caught.value.url == url


def test_a_certificate_of_somebody_else_proves_nothing() -> None:
    request = made(NOTIFICATION)
    other = made(NOTIFICATION, pem=key_pair(aws_sns.SCHEME, 2).signing.partition("\n")[2])
    with pytest.raises(Mismatch):
        received(request, documents=other.documents)
    for document in (b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(Mismatch):
            received(request, documents={aws_sns.TEST_URL: document})


def test_raw_delivery_has_no_signature() -> None:
    for body in (b'{"order":1}', b"[]", b"null", b"1"):
        with pytest.raises(Missing, match="raw"):
            verify(
                "aws_sns",
                {"x-amz-sns-rawdelivery": "true"},
                body,
                secrets=TOPIC,
                now_s=NOW_S,
            )
    for body in (b"", b"text", b"\xff"):
        with pytest.raises(Malformed):
            verify("aws_sns", {}, body, secrets=TOPIC, now_s=NOW_S)


def test_a_retry_may_come_an_hour_later() -> None:
    assert received(made(NOTIFICATION), now_s=NOW_S + 3_900).id
    with pytest.raises(Stale):
        received(made(NOTIFICATION), now_s=NOW_S + 3_901)


@pytest.mark.parametrize("version", ["0", "3", "", None, 1])
def test_other_versions_are_malformed(version: Any) -> None:
    with pytest.raises(Malformed):
        received(made(NOTIFICATION, SignatureVersion=version))


def confirmed(request: Signed, **changes: Any) -> Reply | None:
    arguments: dict[str, Any] = {
        "secrets": TOPIC,
        "now_s": NOW_S,
        "documents": request.documents,
        **changes,
    }
    return respond("aws_sns", request.headers, request.body, **arguments)


def test_a_subscription_is_confirmed_by_fetching_its_url() -> None:
    assert confirmed(made(CONFIRMATION)) == Reply(fetch_url=SUBSCRIBE_URL)
    escaped = SUBSCRIBE_URL.replace(TOPIC, TOPIC.replace(":", "%3A"))
    reply = confirmed(made({**CONFIRMATION, "SubscribeURL": escaped}))
    assert reply == Reply(fetch_url=escaped)
    assert confirmed(made(NOTIFICATION)) is None
    assert confirmed(made({**NOTIFICATION, "Message": '"SubscriptionConfirmation"'})) is None
    with pytest.raises(KeyNeeded):
        confirmed(made(CONFIRMATION), documents={})
    with pytest.raises(Mismatch):
        confirmed(made(CONFIRMATION), secrets="arn:aws:sns:us-east-1:1:other")
    with pytest.raises(Mismatch):
        confirmed(made(CONFIRMATION, SubscribeURL=SUBSCRIBE_URL + "0"))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/?Action=ConfirmSubscription",
        "http://169.254.169.254/latest/meta-data/",
        SUBSCRIBE_URL.replace("amazonaws.com", "amazonaws.com.evil.com"),
        SUBSCRIBE_URL.replace("https", "http"),
        SUBSCRIBE_URL.replace("ConfirmSubscription", "DeleteTopic"),
        SUBSCRIBE_URL.replace("1234", "6666"),
        SUBSCRIBE_URL + "&Action=DeleteTopic",
        SUBSCRIBE_URL.replace("https://", "https://a@"),
        SUBSCRIBE_URL.replace(".com/", ".com:444/"),
    ],
)
def test_no_other_url_is_fetched_whoever_signed_it(url: str) -> None:
    with pytest.raises(Malformed):
        confirmed(made({**CONFIRMATION, "SubscribeURL": url}))
