"""Formats of the providers that are declared: vendors' own values, else the standard library's.

Where a provider publishes no values, the headers are made here by `hmac` and by hand, from what its
documentation says, so that a mistake in a declaration is not repeated by the signer under test.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from ringback.errors import Malformed, Misconfigured, Mismatch, Missing, Stale
from ringback.receive import VerifiedEvent, verify

NOW_S = 1_735_689_600
SECRET = "a secret of forty characters or nearly so"
URL = "https://shop.example/hooks?a=1"
RFC3339 = "2025-01-01T00:00:00Z"
HTTP_DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
PAGERDUTY_BODY = (
    b'{"event":{"id":"01BWDWL3NYY7LUFPZCC28QUCMK","event_type":"incident.priority_updated",'
    b'"resource_type":"incident","occurred_at":"2021-04-26T17:36:27.458Z","agent":{"html_url":'
    b'"https://acme.pagerduty.com/users/PLH1HKV","id":"PLH1HKV","self":'
    b'"https://api.pagerduty.com/users/PLH1HKV","summary":"Tenex Engineer","type":"user_reference"}'
    b',"client":null,"data":{"id":"PGR0VU2","type":"incident","self":'
    b'"https://api.pagerduty.com/incidents/PGR0VU2","html_url":'
    b'"https://acme.pagerduty.com/incidents/PGR0VU2","number":2,"status":"triggered","title":'
    b'"A little bump in the road","service":{"html_url":"https://acme.pagerduty.com/services/PF9KMX'
    b'H","id":"PF9KMXH","self":"https://api.pagerduty.com/services/PF9KMXH","summary":"API Service"'
    b',"type":"service_reference"},"assignees":[{"html_url":"https://acme.pagerduty.com/users/PTUXL'
    b'6G","id":"PTUXL6G","self":"https://api.pagerduty.com/users/PTUXL6G","summary":"User 123",'
    b'"type":"user_reference"}],"escalation_policy":{"html_url":"https://acme.pagerduty.com/escalat'
    b'ion_policies/PUS0KTE","id":"PUS0KTE","self":"https://api.pagerduty.com/escalation_policies/PU'
    b'S0KTE","summary":"Default","type":"escalation_policy_reference"},"teams":[{"html_url":'
    b'"https://acme.pagerduty.com/teams/PFCVPS0","id":"PFCVPS0","self":"https://api.pagerduty.com/t'
    b'eams/PFCVPS0","summary":"Engineering","type":"team_reference"}],"priority":{"html_url":'
    b'"https://acme.pagerduty.com/account/incident_priorities","id":"PSO75BM","self":'
    b'"https://api.pagerduty.com/priorities/PSO75BM","summary":"P1","type":"priority_reference"},'
    b'"urgency":"high","conference_bridge":{"conference_number":1000,"conference_url":'
    b'"https://example.com"},"resolve_reason":null}}}'
)
COINBASE_BODY = (
    b'{"id":1,"scheduled_for":"2017-01-31T20:50:02Z","attempt_number":1,"event":{"id":'
    b'"24934862-d980-46cb-9402-43c81b0cdba6","type":"charge:created","api_version":"2018-03-22",'
    b'"created_at":"2017-01-31T20:49:02Z","data":{"code":"66BEOV2A","name":"The Sovereign Individua'
    b'l","description":"Mastering the Transition to the Information Age","hosted_url":'
    b'"https://commerce.coinbase.com/charges/66BEOV2A","created_at":"2017-01-31T20:49:02Z",'
    b'"expires_at":"2017-01-31T21:04:02Z","timeline":[{"time":"2017-01-31T20:49:02Z","status":"NEW"'
    b'}],"metadata":{},"pricing_type":"no_price","payments":[],"addresses":{"bitcoin":'
    b'"0000000000000000000000000000000000","ethereum":"0x0000000000000000000000000000000000000000",'
    b'"litecoin":"3000000000000000000000000000000000","bitcoincash":'
    b'"bitcoincash:000000000000000000000000000000000000000000"}}}}'
)
BOX_BODY = (
    b'{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
    b'"source":{"id":"1234567890","type":"file","name":"Test.txt"}}'
)


def case(
    provider: str, secret: str, headers: dict[str, str], body: bytes, *, now_s: float = NOW_S
) -> dict[str, Any]:
    return {
        "provider": provider,
        "secrets": secret,
        "headers": headers,
        "body": body,
        "now_s": now_s,
    }


PADDLE = case(
    "paddle",
    "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
    {
        "Paddle-Signature": "ts=1696195954;h1=dummy;"
        "h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
    },
    b"hello-world",
    now_s=1696195954,
)
BOX = case(
    "box",
    "SamplePrimaryKey",
    {
        "BOX-DELIVERY-ID": "f96bb54b-ee16-4fc5-aa65-8c2d9e5b546f",
        "BOX-DELIVERY-TIMESTAMP": "2020-01-01T00:00:00-07:00",
        "BOX-SIGNATURE-PRIMARY": "6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=",
        "BOX-SIGNATURE-SECONDARY": "v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=",
    },
    BOX_BODY,
    now_s=1577862000,
)
VENDORS = {
    "paddle, Python SDK": PADDLE,
    "pagerduty, Go library": case(
        "pagerduty",
        "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK",
        {
            "X-PagerDuty-Signature": "v1="
            "0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
        },
        PAGERDUTY_BODY,
    ),
    "coinbase_commerce, Python SDK": case(
        "coinbase_commerce",
        "30291a20-0bd1-4267-9b0f-e6e7b123c0bf",
        {
            "X-CC-Webhook-Signature": (
                "8be7742c7d372f08a6a3224edadf18a22b65fa9e28f3f2de97376cdaa092590d"
            )
        },
        COINBASE_BODY,
    ),
    "box, SDKs, primary": BOX,
    "box, SDKs, secondary": {**BOX, "secrets": "SampleSecondaryKey"},
    "zendesk, the documentation's test secret": case(
        "zendesk",
        "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
        {
            "X-Zendesk-Webhook-Signature": "S/RDdU2ERmj7LHDDoWJ2onPYH+t7/f2+LTM4dL7UiLM=",
            "X-Zendesk-Webhook-Signature-Timestamp": "2021-03-25T05:09:27Z",
        },
        b'{"event":"ticket.updated","id":123}',
        now_s=1616648967,
    ),
}


@pytest.mark.parametrize("vendor_s", VENDORS.values(), ids=VENDORS.keys())
def test_a_vendor_s_vector_is_accepted_as_it_is(vendor_s: dict[str, Any]) -> None:
    assert verify(**vendor_s).body == vendor_s["body"]
    with pytest.raises((Mismatch, Malformed)):
        verify(**{**vendor_s, "body": vendor_s["body"] + b" "})


def test_razorpay_s_own_values_fit_bodies_that_are_no_json() -> None:
    signatures = {
        b"{a:1, b:2}": "ee0a3edebeb4be41bafa3bc0a39069d7845a5c37760b863405049de80b5fe92d",
        b"{c:1, d:2}": "58fd9fac909b57d776606e9313e83a26a9e67a3488b9ca7259134e09f4badfb1",
    }

    for body, signature in signatures.items():
        # The signature is right, and only then is the body looked at.
        with pytest.raises(Malformed, match="JSON"):
            verify(**case("razorpay", "123456", {"X-Razorpay-Signature": signature}, body))
        with pytest.raises(Mismatch):
            verify(**case("razorpay", "123457", {"X-Razorpay-Signature": signature}, body))


def digest(content: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(SECRET.encode(), content, algorithm).digest()


def hexed(content: bytes, algorithm: str = "sha256") -> str:
    return digest(content, algorithm).hex()


def based(content: bytes, algorithm: str = "sha256") -> str:
    return b64encode(digest(content, algorithm)).decode()


def stamped(content: str, body: bytes) -> bytes:
    return content.encode() + body


Made = Callable[[bytes], dict[str, str]]
LOCAL: dict[str, Made] = {
    "lemon_squeezy": lambda body: {"X-Signature": hexed(body)},
    "linear": lambda body: {"Linear-Signature": hexed(body), "Linear-Delivery": "1"},
    "intercom": lambda body: {"X-Hub-Signature": "sha1=" + hexed(body, "sha1")},
    "typeform": lambda body: {"Typeform-Signature": "sha256=" + based(body)},
    "docusign": lambda body: {"X-DocuSign-Signature-1": based(body)},
    "jira": lambda body: {"X-Hub-Signature": "sha256=" + hexed(body)},
    "zendesk": lambda body: {
        "X-Zendesk-Webhook-Signature": based(stamped(RFC3339, body)),
        "X-Zendesk-Webhook-Signature-Timestamp": RFC3339,
    },
    "calendly": lambda body: {
        "Calendly-Webhook-Signature": f"t={NOW_S},v1={hexed(stamped(f'{NOW_S}.', body))}"
    },
    "razorpay": lambda body: {"X-Razorpay-Signature": hexed(body)},
    "mux": lambda body: {"Mux-Signature": f"t={NOW_S},v1={hexed(stamped(f'{NOW_S}.', body))}"},
    "pagerduty": lambda body: {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={hexed(body)}"},
    "sentry": lambda body: {"Sentry-Hook-Signature": hexed(body)},
    "vercel": lambda body: {"x-vercel-signature": hexed(body, "sha1")},
    "workos": lambda body: {
        "WorkOS-Signature": f"t={NOW_S}123, v1={hexed(stamped(f'{NOW_S}123.', body))}"
    },
    "twitch": lambda body: {
        "Twitch-Eventsub-Message-Id": "m-1",
        "Twitch-Eventsub-Message-Timestamp": "2025-01-01T00:00:00.123456789Z",
        "Twitch-Eventsub-Message-Signature": "sha256="
        + hexed(stamped("m-12025-01-01T00:00:00.123456789Z", body)),
    },
    "paystack": lambda body: {
        "x-paystack-signature": hmac.new(f"sk_{SECRET}".encode(), body, "sha512").hexdigest()
    },
    "notion": lambda body: {"X-Notion-Signature": "sha256=" + hexed(body)},
    "woocommerce": lambda body: {"X-WC-Webhook-Signature": based(body)},
    "elevenlabs": lambda body: {
        "ElevenLabs-Signature": f"t={NOW_S},v0={hexed(stamped(f'{NOW_S}.', body))}"
    },
    "cloudflare_stream": lambda body: {
        "Webhook-Signature": f"time={NOW_S},sig1={hexed(stamped(f'{NOW_S}.', body))}"
    },
    "klaviyo": lambda body: {
        "Klaviyo-Signature": hexed(body + HTTP_DATE.encode()),
        "Klaviyo-Timestamp": HTTP_DATE,
        "Klaviyo-Webhook-Id": "1",
    },
    "smartsheet": lambda body: {"Smartsheet-Hmac-SHA256": hexed(body)},
    "trello": lambda body: {"X-Trello-Webhook": based(body + URL.encode(), "sha1")},
    "asana": lambda body: {"X-Hook-Signature": hexed(body)},
    "zoom": lambda body: {
        "x-zm-signature": "v0=" + hexed(stamped(f"v0:{NOW_S}:", body)),
        "x-zm-request-timestamp": str(NOW_S),
    },
    "meta": lambda body: {"X-Hub-Signature-256": "sha256=" + hexed(body)},
    "dropbox": lambda body: {"X-Dropbox-Signature": hexed(body)},
    "xero": lambda body: {"x-xero-signature": based(body)},
    "x": lambda body: {"x-twitter-webhooks-signature": "sha256=" + based(body)},
}
BODIES: dict[str, object] = {
    "linear": {"webhookTimestamp": NOW_S * 1000 + 999, "type": "Issue", "action": "create"},
    "klaviyo": {"data": [{"external_id": "e-1", "topic": "event:klaviyo.opened_email"}]},
    "asana": {"events": []},
    "meta": {"object": "page", "entry": []},
    "xero": {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3r"},
    "x": {"for_user_id": "1", "tweet_create_events": [{}]},
}
SECRETS = {"paystack": f"sk_{SECRET}", "meta": f"{SECRET}:verify me"}


def body_of(provider: str) -> bytes:
    return json.dumps(BODIES.get(provider, {"hello": "wörld"}), indent=1).encode()


def received(provider: str, body: bytes, headers: dict[str, str]) -> VerifiedEvent:
    secret = SECRETS.get(provider, SECRET)
    return verify(provider, headers, body, secrets=secret, now_s=NOW_S, url=URL)


@pytest.mark.parametrize("provider", LOCAL)
def test_what_is_made_by_hand_is_accepted_local_vectors(provider: str) -> None:
    body = body_of(provider)
    headers = LOCAL[provider](body)

    assert received(provider, body, headers).body == body
    with pytest.raises((Mismatch, Malformed)):
        received(provider, body.replace(b"\n", b""), headers)
    for name in headers:
        if "ignature" in name:
            changed = {**headers, name: headers[name][:-2] + "00"}
            with pytest.raises((Mismatch, Malformed)):
                received(provider, body, changed)


def test_any_of_docusign_s_headers_may_be_the_one_that_fits() -> None:
    body = b'{"event":"envelope-completed","generatedDateTime":"2025","data":{"envelopeId":"e"}}'
    wrong = b64encode(bytes(32)).decode()

    headers = {f"X-DocuSign-Signature-{number}": wrong for number in range(1, 6)}
    with pytest.raises(Mismatch):
        received("docusign", body, headers)
    event = received("docusign", body, {**headers, "X-DocuSign-Signature-3": based(body)})
    only = received("docusign", body, {"X-DocuSign-Signature-3": based(body)})
    assert event == only
    assert event.id == "envelope-completed:e:2025"
    with pytest.raises(Missing):
        received("docusign", body, {"X-DocuSign-Signature-99": based(body)})


@pytest.mark.parametrize("provider", ["woocommerce", "gitlab_token"])
def test_a_header_that_two_events_share_is_not_their_id(provider: str) -> None:
    header = {"woocommerce": "X-WC-Webhook-Delivery-ID", "gitlab_token": "X-Gitlab-Event-UUID"}

    def event_id(body: bytes) -> str:
        proof = {"woocommerce": ("X-WC-Webhook-Signature", based(body))}
        name, text = proof.get(provider, ("X-Gitlab-Token", SECRET))
        return received(provider, body, {name: text, header[provider]: "d1"}).id

    first, second = event_id(b'{"id":1}'), event_id(b'{"id":2}')

    assert first != second
    assert first == event_id(b'{"id":1}')
    assert first.startswith("d1:")


def test_two_recipients_of_docusign_are_two_events() -> None:
    def event_id(recipient: str) -> str:
        inside = b'{"envelopeId":"e","recipientId":"%s"}' % recipient.encode()
        body = b'{"event":"recipient-sent","generatedDateTime":"t","data":%s}' % inside
        return received("docusign", body, {"X-DocuSign-Signature-1": based(body)}).id

    assert event_id("1") == "1:recipient-sent:e:t"
    assert event_id("2") != event_id("1")


def test_a_retry_of_docusign_has_the_same_id() -> None:
    first, second = (
        json.dumps(
            {"event": "e", "retryCount": n, "generatedDateTime": "t", "data": {"envelopeId": "i"}}
        ).encode()
        for n in (0, 1)
    )

    assert (
        received("docusign", first, {"X-DocuSign-Signature-1": based(first)}).id
        == received("docusign", second, {"X-DocuSign-Signature-1": based(second)}).id
    )


def test_linear_s_time_is_in_its_body() -> None:
    for offset_s, kind in ((-61, Stale), (62, Stale), (0, None)):
        stamp = (NOW_S + offset_s) * 1000
        body = json.dumps({"webhookTimestamp": stamp, "type": "Issue"}).encode()
        headers = {"Linear-Signature": hexed(body), "Linear-Delivery": "d-1"}
        if kind:
            with pytest.raises(kind):
                received("linear", body, headers)
        else:
            event = received("linear", body, headers)
            assert (event.id, event.type, event.timestamp_s) == ("d-1", "Issue", NOW_S)
            assert not event.is_id_signed
    for bad in (b"{}", b"[]", b'{"webhookTimestamp":1.5}', b'{"webhookTimestamp":null}', b"x"):
        with pytest.raises(Malformed):
            received("linear", bad, {"Linear-Signature": hexed(bad)})


def test_a_method_that_the_header_names_is_not_believed() -> None:
    body = b'{"a":1}'
    for method, algorithm in (("sha1", "sha1"), ("sha512", "sha512"), ("md5", "md5")):
        with pytest.raises(Malformed):
            received("jira", body, {"X-Hub-Signature": f"{method}={hexed(body, algorithm)}"})
    with pytest.raises(Malformed):
        received("intercom", body, {"X-Hub-Signature": f"sha256={hexed(body)}"})


@pytest.mark.parametrize(
    ("provider", "secret"),
    [
        ("paddle", "pdl_live_apikey_01"),
        ("paystack", "pk_live_1"),
        ("workos", "sk_live_1"),
        ("razorpay", "rzp_live_1"),
        ("linear", "lin_api_1"),
        ("meta", "EAAabc"),
        ("dropbox", "sl.abc"),
        ("jira", "ATATT3xFfGF0"),
        ("discord", "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"),
        ("braintree", "only-one-key"),
        ("plaid", "development"),
        ("chargebee", "no colon"),
    ],
)
def test_another_credential_of_the_provider_is_refused_by_name(provider: str, secret: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        verify(
            provider,
            dict.fromkeys(
                ("authorization", "x-signature-timestamp", "x-dropbox-signature"), "1700000000"
            )
            | {
                "paddle-signature": f"ts={NOW_S};h1={'0' * 64}",
                "x-paystack-signature": "0" * 128,
                "workos-signature": f"t={NOW_S}000, v1={'0' * 64}",
                "x-razorpay-signature": "0" * 64,
                "linear-signature": "0" * 64,
                "x-hub-signature-256": "sha256=" + "0" * 64,
                "x-hub-signature": "sha256=" + "0" * 64,
                "x-signature-ed25519": "0" * 128,
                "plaid-verification": "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30." + "A" * 86,
            },
            b"bt_signature=a|" + b"0" * 40 + b"&bt_payload=YQ=="
            if provider == "braintree"
            else b"{}",
            secrets=secret,
            now_s=NOW_S,
        )

    assert secret not in str(caught.value)
    assert "give" in str(caught.value)


def test_what_twilio_signed_as_a_form_is_read_as_one() -> None:
    body = b'{"a":"b=c"}'
    content = f'{URL}{{"a":"bc"}}'.encode()
    headers = {"X-Twilio-Signature": based(content, "sha1")}

    assert received("twilio", body, headers).payload == {'{"a":"b': 'c"}'}
