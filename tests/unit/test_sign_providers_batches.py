"""Requests with several events: each comes by itself, with an id by which it can be deduped."""

import json
from typing import Any

import pytest

from ringback.errors import Malformed, Mismatch, Missing
from ringback.receive import Draft, VerifiedEvent, sign, verify
from ringback.sign.event import PARTS_MAX
from ringback.sign.providers import scheme
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600


def received(provider: str, payload: object) -> VerifiedEvent:
    pair = key_pair(scheme(provider), 1)
    made = sign(provider, Draft(body=json.dumps(payload).encode(), timestamp_s=NOW_S), pair.signing)
    return verify(
        provider, made.headers, made.body, secrets=pair.verifying, now_s=NOW_S, url=made.url
    )


def ids_and_types(provider: str, payload: object) -> list[tuple[str, str | None]]:
    return [(event.id, event.type) for event in received(provider, payload).events()]


def whatsapp(*values: dict[str, Any]) -> dict[str, Any]:
    changes = [{"field": "messages", "value": value} for value in values]
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "acc-1", "changes": changes}],
    }


def test_meta_s_messages_have_their_own_ids() -> None:
    payload = whatsapp(
        {"messages": [{"id": "wamid.1", "type": "text"}], "contacts": []},
        {"statuses": [{"id": "wamid.2", "status": "read"}]},
    )

    assert ids_and_types("meta", payload) == [
        ("wamid.1", "messages"),
        ("wamid.2:read", "messages"),
    ]
    alone = received("meta", payload).events()[1].payload
    assert alone == whatsapp({"statuses": [{"id": "wamid.2", "status": "read"}]})


@pytest.mark.parametrize("truth", [True, "true"])
def test_the_deletion_of_a_message_is_another_event_than_the_message(truth: object) -> None:
    around = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 3}
    sent = {**around, "message": {"mid": "m_1", "text": "hi", "is_deleted": False}}
    deleted = {**around, "message": {"mid": "m_1", "is_deleted": truth}}
    entry = {"id": "17", "time": 5, "messaging": [sent, deleted]}

    assert ids_and_types("meta", {"object": "instagram", "entry": [entry]}) == [
        ("m_1", "message"),
        ("m_1:deleted", "message"),
    ]


def test_what_happens_to_one_message_of_meta_are_several_events() -> None:
    around = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 3}
    kinds: list[dict[str, Any]] = [
        {"message": {"mid": "m_1"}},
        {"message": {"mid": "m_1", "is_deleted": True}},
        {"message_edit": {"mid": "m_1", "text": "a", "num_edit": 1}},
        {"message_edit": {"mid": "m_1", "text": "b", "num_edit": 2}},
        {"reaction": {"mid": "m_1", "action": "react"}},
        {"reaction": {"mid": "m_1", "action": "unreact"}},
        {"read": {"mid": "m_1"}},
        {"postback": {"mid": "m_1", "payload": "x"}},
    ]
    changes = [{**around, **kind} for kind in kinds]

    found = ids_and_types("meta", {"entry": [{"id": "1", "messaging": changes}]})

    assert len({event_id for event_id, _ in found}) == len(kinds)


def test_a_status_of_whatsapp_that_one_message_has_twice_is_two_events() -> None:
    group = {"id": "wamid.1", "status": "delivered", "recipient_type": "group"}
    payment = {"id": "wamid.2", "status": "failed", "type": "payment"}
    statuses = [
        {**group, "recipient_participant_id": "1"},
        {**group, "recipient_participant_id": "2"},
        {**payment, "timestamp": "1"},
        {**payment, "timestamp": "2"},
        {"id": "wamid.2", "status": "failed", "type": "message", "recipient_type": "individual"},
    ]

    found = ids_and_types("meta", whatsapp(*({"statuses": [one]} for one in statuses)))

    assert len({event_id for event_id, _ in found}) == len(statuses)
    assert found[-1][0] == "wamid.2:failed"


def test_meta_s_messenger_has_kinds_without_ids() -> None:
    around = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 3}
    entry = {
        "id": "page",
        "time": 5,
        "messaging": [
            {**around, "message": {"mid": "m_1", "text": "hi"}},
            {**around, "read": {"watermark": 4}},
        ],
    }

    (first, kind), (second, other) = ids_and_types("meta", {"object": "page", "entry": [entry]})

    assert (first, kind, other) == ("m_1", "message", "read")
    assert second.startswith("sha256:")
    later = {**entry, "time": 6}
    assert ids_and_types("meta", {"object": "page", "entry": [later]})[1][0] != second


def test_meta_s_entry_without_a_list_is_one_event() -> None:
    payload = {"object": "user", "entry": [{"id": "1", "changed_fields": ["email"], "time": 1}]}

    event = received("meta", payload).events()[0]

    assert (event.type, event.payload) == ("user", payload)
    two = whatsapp({"messages": [{"id": "a"}, {"id": "b"}]})
    assert received("meta", two).events()[0].id.startswith("sha256:")


@pytest.mark.parametrize(
    ("provider", "payload"),
    [
        ("meta", {"entry": "x"}),
        ("meta", {"entry": [1]}),
        ("meta", {"entry": [{"changes": [1]}]}),
        ("meta", [1]),
        ("klaviyo", {"data": {}}),
        ("xero", {}),
        ("asana", []),
        ("okta", {"data": {"events": None}}),
        ("x", [1]),
    ],
)
def test_another_shape_is_malformed(provider: str, payload: object) -> None:
    with pytest.raises(Malformed):
        received(provider, payload)


def test_more_parts_than_anybody_sends_are_refused() -> None:
    assert len(received("klaviyo", {"data": [1] * PARTS_MAX}).events()) == PARTS_MAX
    with pytest.raises(Malformed):
        received("klaviyo", {"data": [1] * (PARTS_MAX + 1)})


def test_hubspot_s_events_keep_their_ids_over_attempts() -> None:
    event = {
        "eventId": 1,
        "subscriptionId": 12345,
        "objectId": 123,
        "occurredAt": 1564113600000,
        "subscriptionType": "contact.creation",
        "attemptNumber": 0,
    }
    retried = {**event, "attemptNumber": 1}
    other = {**event, "objectId": 124}

    found = ids_and_types("hubspot", [event, retried, other])

    assert found[0] == found[1] == ("1:12345:123:1564113600000", "contact.creation")
    assert found[2] == ("1:12345:124:1564113600000", "contact.creation")
    workflow = received("hubspot", {"vid": 1}).events()
    assert [event.payload for event in workflow] == [{"vid": 1}]
    assert workflow[0].id.startswith("sha256:")


def test_hubspot_s_associations_keep_their_ids_over_attempts_too() -> None:
    made: dict[str, object] = {
        "eventId": 1,
        "subscriptionId": 2,
        "fromObjectId": 3,
        "toObjectId": 4,
        "associationType": "CONTACT_TO_COMPANY",
        "associationRemoved": False,
        "occurredAt": 5,
    }
    events = [
        {**made, "attemptNumber": 0},
        {**made, "attemptNumber": 1},
        {**made, "associationRemoved": True},
        {**made, "toObjectId": 6},
    ]

    (first, _), (retried, _), (removed, _), (other, _) = ids_and_types("hubspot", events)

    assert first == retried
    assert len({first, removed, other}) == 3


def test_xero_s_events_are_named_by_category_and_kind() -> None:
    event = {
        "resourceId": "717f2bfc",
        "eventDateUtc": "2017-06-21T01:15:39.902",
        "eventType": "UPDATE",
        "eventCategory": "INVOICE",
        "tenantId": "c2cc9b6e",
    }

    assert ids_and_types("xero", {"events": [event]}) == [
        ("c2cc9b6e:717f2bfc:INVOICE:UPDATE:2017-06-21T01:15:39.902", "INVOICE.UPDATE")
    ]


def test_okta_and_klaviyo_say_ids_and_types() -> None:
    okta = {"data": {"events": [{"uuid": "u1", "eventType": "user.session.start"}]}}
    klaviyo = {"data": [{"external_id": "e1", "topic": "event:klaviyo.opened_email"}, {}]}

    assert ids_and_types("okta", okta) == [("u1", "user.session.start")]
    first, second = ids_and_types("klaviyo", klaviyo)
    assert first == ("e1", "event:klaviyo.opened_email")
    assert second[0].startswith("sha256:")


def test_asana_s_heartbeat_has_no_events() -> None:
    assert ids_and_types("asana", {"events": []}) == []
    event = {"action": "changed", "resource": {"gid": "1"}, "created_at": "2025-01-01"}
    (first, kind), (second, _) = ids_and_types("asana", {"events": [event, event]})
    assert kind == "changed"
    assert first == second


def test_x_is_named_by_the_list_that_it_carries() -> None:
    payload = {
        "for_user_id": "1",
        "direct_message_events": [{"id": "2"}],
        "apps": {},
        "users": {},
    }

    event = received("x", payload).events()[0]

    assert event.type == "direct_message_events"
    assert event.payload == payload


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", ""])
def test_a_name_that_is_no_type_does_not_become_one(name: str) -> None:
    messenger: dict[str, object] = {"entry": [{"messaging": [{name: {}}]}]}

    assert received("meta", messenger).events()[0].type is None
    assert received("x", {name: []}).events()[0].type is None


GRAPH = {"subscriptionId": "s", "changeType": "updated", "resource": "me/messages/1"}


def graph(*notifications: object, secrets: str | list[str] = "my state") -> VerifiedEvent:
    body = json.dumps({"value": notifications}).encode()
    return verify("microsoft_graph", {}, body, secrets=secrets, now_s=NOW_S)


def test_every_notification_of_graph_must_have_the_state() -> None:
    good = {**GRAPH, "clientState": "my state", "id": "n1"}
    other = {**GRAPH, "clientState": "new state", "lifecycleEvent": "missed"}

    first, second = graph(good, other, secrets=["my state", "new state"]).events()

    assert (first.id, first.type) == ("n1", "updated")
    assert second.type == "missed"
    with pytest.raises(Mismatch):
        graph(good, other)
    for bad, error in (
        (GRAPH, Missing),
        ({**GRAPH, "clientState": None}, Missing),
        ({**GRAPH, "clientState": 1}, Malformed),
        ("x", Missing),
    ):
        with pytest.raises(error):
            graph(good, bad)
    for body in (b"{}", b'{"value":[]}', b"[]", b'{"value":{}}'):
        with pytest.raises(Missing):
            verify("microsoft_graph", {}, body, secrets="my state", now_s=NOW_S)
    with pytest.raises(Malformed):
        graph(*[good] * 1_001)
