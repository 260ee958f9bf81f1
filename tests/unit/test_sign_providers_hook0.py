"""Hook0 and Coinbase: the vendor's vector, and nothing moved between headers and body."""

import pytest

from ringback.errors import Malformed, Mismatch, Missing, Stale
from ringback.receive import verify
from ringback.receive.verification import sign
from ringback.sign.providers import hook0
from ringback.sign.scheme import Draft

NOW_S = 1_636_936_200
SECRET = "secret"
ID = "1a01cb48-5142-4d9b-8f90-d20cca61f0ee"
TYPE = "service.resource.verb"
V1 = "bc521546ba5de381b12f135782d2008b028c3065c191760b12b76850a8fc8f51"


def headers(
    values: dict[str, str], body: bytes, *, names: str | None = None, prefix: str = ""
) -> dict[str, str]:
    named = " ".join(values) if names is None else names
    v1 = hook0.tag(SECRET, f"{NOW_S}.{named}", list(values.values()), body)
    return {**values, "X-Hook0-Signature": f"t={NOW_S},{prefix}h={named},v1={v1}"}


EVENT = {"x-event-id": ID, "x-event-type": TYPE}


def test_the_vendor_s_vector_is_what_is_computed() -> None:
    head = f"{NOW_S}.x-event-id x-event-type"

    assert hook0.tag(SECRET, head, [ID, TYPE], b"hello !") == V1
    # Its body is not JSON, which is looked at after the signature.
    signature = f"t={NOW_S},h=x-event-id x-event-type,v1={V1}"
    given = {**EVENT, "X-Hook0-Signature": signature}
    with pytest.raises(Malformed, match="JSON"):
        verify("hook0", given, b"hello !", secrets=SECRET, now_s=NOW_S)
    with pytest.raises(Mismatch):
        verify("hook0", given, b"hello ?", secrets=SECRET, now_s=NOW_S)


def test_what_is_made_for_tests_has_the_id_of_its_draft() -> None:
    def id_of(name: str) -> str:
        made = sign("hook0", Draft(body=b"{}", timestamp_s=NOW_S, id=name), SECRET)
        return verify("hook0", made.headers, made.body, secrets=SECRET, now_s=NOW_S).id

    assert id_of(ID) == ID
    assert id_of("evt_1") == id_of("evt_1") != id_of("evt_2")


def test_id_and_type_are_signed() -> None:
    made = headers(EVENT, b'{"a":1}')

    event = verify("hook0", made, b'{"a":1}', secrets=SECRET, now_s=NOW_S)

    assert (event.id, event.type, event.is_id_signed) == (ID, TYPE, True)
    for name in EVENT:
        with pytest.raises(Mismatch):
            verify(
                "hook0",
                {**made, name: ID.replace("1", "2")},
                b'{"a":1}',
                secrets=SECRET,
                now_s=NOW_S,
            )
        without = {other: text for other, text in made.items() if other != name}
        with pytest.raises(Missing):
            verify("hook0", without, b'{"a":1}', secrets=SECRET, now_s=NOW_S)
    with pytest.raises(Stale):
        verify("hook0", made, b'{"a":1}', secrets=SECRET, now_s=NOW_S + 301)


def test_coinbase_s_type_is_in_the_body() -> None:
    body = b'{"eventType":"payments.transfers.completed"}'
    values = {"content-type": "application/json", "x-hook0-id": ID}

    event = verify("coinbase", headers(values, body), body, secrets=SECRET, now_s=NOW_S)

    assert (event.id, event.type) == (ID, "payments.transfers.completed")


@pytest.mark.parametrize(
    "given",
    [
        {"x-event-id": f"{ID}.service", "x-event-type": "resource.verb"},
        {"x-event-id": "service", "x-event-type": "resource.verb"},
        {"x-event-id": "", "x-event-type": "resource.verb"},
    ],
)
def test_nothing_moves_from_one_header_into_another(given: dict[str, str]) -> None:
    with pytest.raises((Malformed, Mismatch)):
        verify("hook0", headers(given, b"{}"), b"{}", secrets=SECRET, now_s=NOW_S)


def test_nothing_moves_from_the_body_into_a_header() -> None:
    body = b'verb.{"a":1}'
    values = {"x-event-id": ID, "x-event-type": "service.resource"}
    with pytest.raises(Malformed):
        verify("hook0", headers(values, body), body, secrets=SECRET, now_s=NOW_S)


@pytest.mark.parametrize(
    "names",
    ["", " ", "x-event-id x-event-id", "X-Event-Id", "a;b", "a" * 65, " ".join(["a"] * 33), "é"],
)
def test_malformed_names_are_refused(names: str) -> None:
    made = headers(EVENT, b"{}", names=names)

    with pytest.raises(Malformed):
        verify("hook0", made, b"{}", secrets=SECRET, now_s=NOW_S)


def test_the_older_signature_alone_is_no_proof() -> None:
    v0 = "1b3d69df55f1e52f05224ba94a5162abeb17ef52cd7f4948c390f810d6a87e98"

    given = {**EVENT, "X-Hook0-Signature": f"t={NOW_S},v0={v0}"}
    with pytest.raises(Malformed):
        verify("hook0", given, b"hello !", secrets=SECRET, now_s=NOW_S)
    made = headers(EVENT, b"{}", prefix=f"v0={v0},")
    assert verify("hook0", made, b"{}", secrets=SECRET, now_s=NOW_S).id == ID
