"""What providers themselves published is accepted, to the byte.

Each case says where the values come from: the provider's documentation or the tests of its own
library. The secrets are theirs and public.
"""

from typing import Any

import pytest

from ringback.errors import Mismatch
from ringback.receive import Malformed, providers, verify

SLACK_COMMAND = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SENDGRID_EVENTS = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",'
    b'"timestamp":1600112492}]\r\n'
)
SQUARE_BODY = (
    b'{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification",'
    b'"event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f",'
    b'"created_at":"2022-07-13T20:30:59.037339943Z",'
    b'"data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}'
)
ADYEN_ITEM = (
    b'{"live":"false","notificationItems":[{"NotificationRequestItem":{'
    b'"pspReference":"7914073381342284","merchantReference":"TestPayment-1407325143704",'
    b'"merchantAccountCode":"TestMerchant","amount":{"currency":"EUR","value":1130},'
    b'"eventCode":"AUTHORISATION","success":"true","eventDate":"2019-05-06T17:15:34.121+02:00",'
    b'"operations":["CANCEL","CAPTURE","REFUND"],"paymentMethod":"visa",'
    b'"additionalData":{"hmacSignature":"coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="}}}]}'
)
ADYEN_PLATFORM_BODY = b"""{
    "type": "merchant.created",
    "environment": "test",
    "createdAt": "01-01-2024",
    "data": {
        "capabilities": {
            "sendToTransferInstrument": {
                "requested": true,
                "requestedLevel": "notApplicable"
            }
        },
        "companyId": "YOUR_COMPANY_ID",
        "merchantId": "YOUR_MERCHANT_ACCOUNT",
        "status": "PreActive"
    }
}"""
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO_FORM = (
    b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    b"&Caller=%2B14158675309"
)
TWILIO_JSON = b'{"property": "value", "boolean": true}'
TWILIO_DIGEST = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
STANDARD_BODY = b'{"test": 2432232314}'


def case(
    provider: str,
    secret: str,
    headers: dict[str, str],
    body: bytes,
    *,
    now_s: int = 0,
    url: str | None = None,
) -> dict[str, Any]:
    return {
        "provider": provider,
        "secrets": secret,
        "headers": headers,
        "body": body,
        "now_s": now_s,
        "url": url,
    }


def twilio(signature: str, body: bytes, url: str = TWILIO_URL) -> dict[str, Any]:
    return case("twilio", "12345", {"X-Twilio-Signature": signature}, body, url=url)


def standard(msg_id: str, timestamp_s: int, signature: str) -> dict[str, str]:
    return {
        "webhook-id": msg_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature,
    }


VENDORS = {
    "github, documentation": case(
        "github",
        "It's a Secret to Everybody",
        {
            "X-Hub-Signature-256": "sha256="
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        b"Hello, World!",
    ),
    "bitbucket, documentation": case(
        "bitbucket",
        "It's a Secret to Everybody",
        {
            "X-Hub-Signature": "sha256="
            "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
        },
        b"Hello World!",
    ),
    "slack, documentation": case(
        "slack",
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Signature": "v0="
            "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "X-Slack-Request-Timestamp": "1531420618",
        },
        SLACK_COMMAND,
        now_s=1531420618,
    ),
    "square, library": case(
        "square",
        "Ibxx_5AKakO-3qeNVR61Dw",
        {"x-square-hmacsha256-signature": "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4="},
        SQUARE_BODY,
        url="https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9",
    ),
    "square, library, escaped": case(
        "square",
        "signature-key",
        {"x-square-hmacsha256-signature": "Cxt7+aTi4rKgcA0bC4g9EHdVtLSDWdqccmL5MvihU4U="},
        b'{"data":{"type":"webhooks","id":">id<"}}',
        url="https://webhook.site/webhooks",
    ),
    "adyen, library": case("adyen", ADYEN_KEY, {}, ADYEN_ITEM),
    "adyen_platform, library": case(
        "adyen_platform",
        ADYEN_KEY,
        {"HmacSignature": "NiqA5vsdV5etZMOaR27+GBSG4i6JeP6j1wkCM6t53vA="},
        ADYEN_PLATFORM_BODY,
    ),
    "sendgrid, library": case(
        "sendgrid",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62g"
        "w+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
        {
            "X-Twilio-Email-Event-Webhook-Signature": "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0"
            "u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
            "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502",
        },
        SENDGRID_EVENTS,
        now_s=1600112502,
    ),
    "twilio, library": twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", TWILIO_FORM),
    "twilio, library, URL with another port": twilio(
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=", TWILIO_FORM, TWILIO_URL.replace(".com", ".com:1234")
    ),
    "twilio, library, signed with port 443": twilio("kvajT1Ptam85bY51eRf/AJRuM3w=", TWILIO_FORM),
    "twilio, library, signed with port 80": twilio(
        "0ZXoZLH/DfblKGATFgpif+LLRf4=", TWILIO_FORM, TWILIO_URL.replace("https", "http")
    ),
    "twilio, library, http with another port": twilio(
        "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        TWILIO_FORM,
        TWILIO_URL.replace(".com", ".com:1234").replace("https", "http"),
    ),
    "twilio, library, repeated parameters": twilio(
        "IK+Dwps556ElfBT0I3Rgjkr1wJU=", b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"
    ),
    "twilio, library, JSON": twilio(
        "a9nBmqA0ju/hNViExpshrM61xv4=", TWILIO_JSON, f"{TWILIO_URL}&bodySHA256={TWILIO_DIGEST}"
    ),
    "standard, libraries, v1": case(
        "standard",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        standard(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        STANDARD_BODY,
        now_s=1614265330,
    ),
    "standard, Rust library, v1": case(
        "standard",
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        standard(
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        b'{"email":"test@example.com","username":"test_user"}',
        now_s=1649367553,
    ),
    "standard, Svix server, v1a": case(
        "standard",
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        standard(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+"
            "m7TBAg==",
        ),
        STANDARD_BODY,
        now_s=1614265330,
    ),
}


@pytest.mark.parametrize("vendor_s", VENDORS.values(), ids=VENDORS.keys())
def test_a_vendor_s_vector_is_accepted(vendor_s: dict[str, Any]) -> None:
    event = verify(**vendor_s)

    assert event.body == vendor_s["body"]


@pytest.mark.parametrize("vendor_s", VENDORS.values(), ids=VENDORS.keys())
def test_a_vendor_s_vector_is_refused_on_another_body(vendor_s: dict[str, Any]) -> None:
    body = vendor_s["body"]
    altered = {**vendor_s, "body": body.replace(b"1", b"2") if b"1" in body else body.swapcase()}

    with pytest.raises((Mismatch, Malformed)):
        verify(**altered)


def test_providers_with_vectors_of_their_own_say_so() -> None:
    says = {scheme.name: scheme.vectors for scheme in providers()}
    assert {says[vendor_s["provider"]] for vendor_s in VENDORS.values()} == {"vendor"}


def test_the_vendors_bodies_are_understood() -> None:
    events = {name: verify(**vendor_s) for name, vendor_s in VENDORS.items()}

    assert events["slack, documentation"].type == "/webhook-collect"
    assert events["github, documentation"].payload == {"Hello, World!": ""}
    assert events["square, library"].id == "ac3ac95b-f97d-458c-a6e6-18981597e05f"
    assert events["square, library"].type == "webhooks.test_notification"
    assert events["adyen, library"].id == "AUTHORISATION:7914073381342284:true"
    assert [part.type for part in events["adyen, library"].events()] == ["AUTHORISATION"]
    sendgrid = events["sendgrid, library"].events()
    assert [(event.id, event.type) for event in sendgrid] == [
        ("ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA", "dropped")
    ]
    assert events["twilio, library, repeated parameters"].payload == {
        "Sid": "CA123",
        "SidAccount": "AC123",
        "Digits": ["5678", "1234"],
    }
    assert events["twilio, library, JSON"].payload == {"property": "value", "boolean": True}
    assert events["standard, Svix server, v1a"].id == "msg_p5jXN8AQM9LWM0D4loKWxJek"
