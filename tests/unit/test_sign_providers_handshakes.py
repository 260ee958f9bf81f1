"""Handshakes: the good one is answered, the forged, the long and the one with HTML in it are not.

An answer to a challenge is something that anybody can make this server say, or even sign.
"""

import hmac
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from ringback.errors import Malformed, Misconfigured, Mismatch, Missing, Stale
from ringback.receive import Draft, Reply, respond, sign, verify
from ringback.sign.event import enveloped
from ringback.sign.providers import names, scheme
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
URL = "https://shop.example/hooks"
SECRET = "a secret of forty characters or nearly so"
HTML = "<script>alert(1)</script>"


def asked(
    provider: str,
    *,
    query: str = "",
    method: str = "GET",
    headers: object = (),
    body: bytes = b"",
    secrets: str | list[str] = SECRET,
) -> Reply | None:
    url = f"{URL}?{query}" if query else URL
    return respond(
        provider,
        headers,  # type: ignore[arg-type]
        body,
        secrets=secrets,
        now_s=NOW_S,
        url=url,
        method=method,
    )


def signed(provider: str, message: object, *, timestamp_s: int = NOW_S) -> dict[str, Any]:
    """A message of the provider itself: its headers, its body and the secret that verifies it."""
    pair = key_pair(scheme(provider), 1)
    draft = Draft(body=json.dumps(message).encode(), timestamp_s=timestamp_s, url=URL)
    made = sign(provider, draft, pair.signing)
    return {
        "headers": made.headers,
        "body": made.body,
        "secrets": pair.verifying,
        "method": "POST",
    }


def text_of(reply: Reply | None) -> str:
    assert reply is not None
    assert reply.status == 200
    headers = {name.lower(): text for name, text in reply.headers}
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    return reply.body.decode()


def json_of(reply: Reply | None) -> object:
    assert reply is not None
    assert reply.status == 200
    assert ("Content-Type", "application/json") in reply.headers
    return json.loads(reply.body)


@pytest.mark.parametrize("provider", names())
def test_an_event_is_no_handshake(provider: str) -> None:
    pair = key_pair(scheme(provider), 1)
    draft = Draft(body=b"", timestamp_s=NOW_S)
    body = enveloped(scheme(provider), draft, {"amount": 1999})
    made = sign(provider, Draft(body=body, timestamp_s=NOW_S), pair.signing)

    answer = respond(
        provider, made.headers, made.body, secrets=pair.verifying, now_s=NOW_S, url=made.url
    )

    assert answer is None


META = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=my%20token"


def test_meta_gets_its_challenge_for_the_right_token_only() -> None:
    secrets = "0123456789abcdef:my token"
    assert text_of(asked("meta", query=META, secrets=secrets)) == "1158201444"
    assert text_of(asked("meta", query=META, secrets=["0:other", secrets])) == "1158201444"
    with pytest.raises(Mismatch):
        asked("meta", query=META, secrets="0123456789abcdef:other")
    with pytest.raises(Misconfigured, match="verify token"):
        asked("meta", query=META, secrets="0123456789abcdef")
    with pytest.raises(Missing):
        asked("meta", query="hub.mode=subscribe&hub.challenge=1", secrets=secrets)
    with pytest.raises(Malformed):
        asked("meta", query=META.replace("subscribe", "unsubscribe"), secrets=secrets)
    with pytest.raises(Malformed):
        asked("meta", query=META + "&hub.verify_token=other", secrets=secrets)
    for challenge in ("", quote(HTML), "x" * 1_025, "%0d%0aSet-Cookie:%20a", "%E2%80%8B"):
        with pytest.raises(Malformed):
            asked("meta", query=META.replace("1158201444", challenge), secrets=secrets)
    assert asked("meta", query="page=1", secrets=secrets) is None
    assert asked("meta", query=META, method="POST", secrets=secrets) is None


@pytest.mark.parametrize(
    ("provider", "method", "name"),
    [("dropbox", "GET", "challenge"), ("microsoft_graph", "POST", "validationToken")],
)
def test_a_challenge_in_the_query_is_echoed_decoded(provider: str, method: str, name: str) -> None:
    token = "Validation: Testing client application reachability Id: 522a8e7e-096a"

    assert text_of(asked(provider, method=method, query=f"{name}={quote(token)}")) == token
    assert (
        text_of(asked(provider, method=method, query=f"{name}={quote(token).replace('%20', '+')}"))
        == token
    )
    for bad in (quote(HTML), "x" * 1_025, "", "%00", "%0d%0a", "%ff", f"a&{name}=b"):
        with pytest.raises(Malformed):
            asked(provider, method=method, query=f"{name}={bad}")
    assert asked(provider, method=method, query="other=1") is None


@pytest.mark.parametrize(
    ("provider", "method", "header", "answer"),
    [
        ("okta", "GET", "X-Okta-Verification-Challenge", "verification"),
        ("smartsheet", "POST", "Smartsheet-Hook-Challenge", "smartsheetHookResponse"),
    ],
)
def test_a_challenge_in_a_header_is_echoed_as_json(
    provider: str, method: str, header: str, answer: str
) -> None:
    assert json_of(asked(provider, method=method, headers={header: "a1-b2"})) == {answer: "a1-b2"}
    for bad in (HTML, "x" * 1_025, "", "a\r\nb", "é"):
        with pytest.raises(Malformed):
            asked(provider, method=method, headers={header: bad})
    with pytest.raises(Malformed):
        asked(provider, method=method, headers=[(header, "a"), (header.lower(), "a")])
    assert asked(provider, method=method) is None


def test_asana_s_secret_is_echoed_in_its_header() -> None:
    reply = asked("asana", method="POST", headers={"X-Hook-Secret": "b537207f20cbfa02357cf448"})

    secret = "b537207f20cbfa02357cf448"
    assert reply == Reply(200, (("X-Hook-Secret", secret),), secret=secret)
    for bad in (HTML, "a b", "a\r\nSet-Cookie: a=b", "x" * 1_025, ""):
        with pytest.raises(Malformed):
            asked("asana", method="POST", headers={"X-Hook-Secret": bad})


ZOOM = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}


def test_zoom_s_token_comes_back_signed() -> None:
    request = signed("zoom", ZOOM)

    answer = json_of(asked("zoom", **request))

    token = b"qgg8vlvZRS6UYooatFL8Aw"
    expected = hmac.new(request["secrets"].encode(), token, "sha256").hexdigest()
    assert answer == {"plainToken": token.decode(), "encryptedToken": expected}
    both = {**request, "secrets": [SECRET, request["secrets"]]}
    assert json_of(asked("zoom", **both)) == answer


def test_zoom_s_token_is_never_signed_for_somebody_else() -> None:
    request = signed("zoom", ZOOM)
    with pytest.raises(Missing):
        asked("zoom", **{**request, "headers": ()})
    with pytest.raises(Mismatch):
        asked("zoom", **{**request, "secrets": SECRET})
    with pytest.raises(Stale):
        asked("zoom", **signed("zoom", ZOOM, timestamp_s=NOW_S - 7_201))
    for token in (HTML, "x" * 10_000, "", None, 1, f"v0:{NOW_S}:{{}}", ["a"]):
        with pytest.raises(Malformed):
            asked("zoom", **signed("zoom", {**ZOOM, "payload": {"plainToken": token}}))
    with pytest.raises(Malformed):
        asked("zoom", **signed("zoom", {"event": "endpoint.url_validation"}))
    quoted = {"event": "meeting.started", "payload": {"topic": "endpoint.url_validation"}}
    assert asked("zoom", **signed("zoom", quoted)) is None


def test_discord_s_pings_are_answered_if_they_are_signed() -> None:
    interaction = signed("discord", {"type": 1, "id": "1", "token": "t", "application_id": "2"})
    event = signed("discord", {"version": 1, "application_id": "2", "type": 0})

    assert json_of(asked("discord", **interaction)) == {"type": 1}
    reply = asked("discord", **event)
    assert reply is not None
    assert (reply.status, reply.body) == (204, b"")
    for request in (interaction, event):
        for call in (respond, verify):
            with pytest.raises(Mismatch) as caught:
                call(
                    "discord",
                    request["headers"],
                    request["body"] + b" ",
                    secrets=request["secrets"],
                    now_s=NOW_S,
                )
            assert caught.value.status == 401


def test_what_only_looks_like_a_ping_of_discord_is_none() -> None:
    for message in (
        {"type": 1, "event": {"type": "APPLICATION_AUTHORIZED"}},
        {"type": 2},
        {"type": True},
        {"type": "1"},
        {"type": None},
        {"type": 1.0},
        {"type": 1, "big": "x" * 20_000},
        [{"type": 1}],
    ):
        assert asked("discord", **signed("discord", message)) is None
    assert asked("discord", method="POST", body=b'{"type":1', secrets="00" * 32) is None


def test_twitch_s_challenge_is_echoed_if_it_is_signed() -> None:
    message = {"challenge": "pogchamp-kappa-360noscope-vohiyo", "subscription": {"type": "a"}}

    assert text_of(asked("twitch", **signed("twitch", message))) == message["challenge"]
    with pytest.raises(Mismatch):
        asked("twitch", **{**signed("twitch", message), "secrets": SECRET})
    with pytest.raises(Stale):
        asked("twitch", **signed("twitch", message, timestamp_s=NOW_S - 601))
    for bad in (HTML, "", None, 1, "x" * 1_025):
        with pytest.raises(Malformed):
            asked("twitch", **signed("twitch", {"challenge": bad}))
    assert asked("twitch", **signed("twitch", {"event": {"title": '"challenge"'}})) is None
    assert asked("twitch", **signed("twitch", {"event": {"challenge": "x"}})) is None


def test_x_gets_its_crc_token_signed() -> None:
    token = "MTg3NjA4NDI4NzY4NzY1OTUyMA=="
    tag = b64encode(hmac.new(SECRET.encode(), token.encode(), "sha256").digest()).decode()

    answer = json_of(asked("x", query=f"crc_token={quote(token)}&nonce=1"))

    assert answer == {"response_token": f"sha256={tag}"}
    assert asked("x", query="page=1") is None
    assert asked("x", query="crc_token=abc", method="POST") is None


def test_x_s_crc_does_not_sign_events_for_whoever_asks() -> None:
    body = '{"for_user_id":"1","tweet_create_events":[]}'
    for token in (body, "", HTML, "a b", "x" * 257, "é"):
        with pytest.raises(Malformed):
            asked("x", query=f"crc_token={quote(token)}")
    # A token that was signed is no event either.
    tag = b64encode(hmac.new(SECRET.encode(), b"123", "sha256").digest()).decode()
    headers = {"x-twitter-webhooks-signature": f"sha256={tag}"}
    with pytest.raises(Malformed):
        verify("x", headers, b"123", secrets=SECRET, now_s=NOW_S)


def test_braintree_s_challenge_is_the_one_of_its_own_sdks() -> None:
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    secrets = "integration_public_key:integration_private_key"

    answer = text_of(asked("braintree", query=f"bt_challenge={challenge}", secrets=secrets))

    assert answer == "integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4"
    for bad in ("", "x" * 20, challenge.upper(), challenge + "0", challenge[:19], HTML):
        with pytest.raises(Malformed):
            asked("braintree", query=f"bt_challenge={quote(bad)}", secrets=secrets)
    assert asked("braintree", query="page=1", secrets=secrets) is None


def test_a_head_is_all_that_intercom_and_trello_ask_for() -> None:
    for provider in ("intercom", "trello"):
        assert asked(provider, method="HEAD") == Reply()
        assert asked(provider, method="POST") is None


def test_notion_s_token_is_taken_and_nothing_else_without_a_signature() -> None:
    token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    good = b'{"verification_token":"%s"}' % token.encode()

    assert asked("notion", method="POST", body=good) == Reply(secret=token)
    for odd in (b'{"verification_token":7}', b'{"verification_token":"a\\u001b[2J"}'):
        with pytest.raises(Malformed):
            asked("notion", method="POST", body=odd)
    for body in (b'{"verification_token":"a","type":"page.created"}', good + b" " * 1_024, b"[]"):
        assert asked("notion", method="POST", body=body) is None


def test_woocommerce_s_ping_is_taken_and_nothing_else_without_a_signature() -> None:
    assert asked("woocommerce", method="POST", body=b"webhook_id=17") == Reply()
    for body in (b"webhook_id=17&a=1", b"webhook_id=", b"webhook_id=1\n", b"{}"):
        assert asked("woocommerce", method="POST", body=body) is None


def test_xero_s_intent_to_receive_is_a_request_like_any_other() -> None:
    body = b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3"}'
    tag = b64encode(hmac.new(SECRET.encode(), body, "sha256").digest()).decode()

    good = verify("xero", {"x-xero-signature": tag}, body, secrets=SECRET, now_s=NOW_S)

    assert list(good.events()) == []
    assert scheme("xero").accepted == Reply(200)
    with pytest.raises(Mismatch) as caught:
        verify("xero", {"x-xero-signature": tag[:-2] + "A="}, body, secrets=SECRET, now_s=NOW_S)
    assert caught.value.status == 401
