"""The OpenAPI document says what is served: requests made from it are answered as it says."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ringback.api.openapi import openapi
from ringback.api.routes import ROUTES
from ringback.testing.asker import Asker
from ringback.testing.stage import one_of_each

EXAMPLES = 10
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


DOCUMENT = openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
# What is answered 501 by design is a server error in the eyes of a fuzzer.
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
    if operation.definition.raw["operationId"] != "v1.authentication.logout"
}
# Where there is something to get wrong besides the path, it is got wrong too.
ASKED = [
    pytest.param(operation, mode, id=f"{operation_id}-{mode.value}")
    for operation_id, operation in OPERATIONS.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation.query or operation.body
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("operation", "mode"), ASKED)
def test_requests_from_the_document_are_answered_as_it_says(
    api: Asker, operation: Any, mode: GenerationMode
) -> None:
    known = one_of_each(api)
    wanted = {name: known[name] for name in re.findall(r"\{(\w+)\}", operation.path)}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=wanted or None))
    def asked(case: Any) -> None:
        headers = {"authorization": f"Bearer {api.token}"}
        response = case.call(base_url=api.url, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)

    asked()


# ---- the document itself ------------------------------------------------------------------------


def test_the_document_is_served_as_json_exactly(api: Asker) -> None:
    served = api.with_token("").get("/openapi.json")
    assert served.status == 200
    assert served.headers["content-type"] == "application/json"
    assert served.json["openapi"] == "3.1.0"
    assert served.json["paths"].keys() == DOCUMENT["paths"].keys()


def test_every_route_is_documented_and_nothing_else(api: Asker) -> None:
    served = api.get("/openapi.json").json
    documented = {
        (method.upper(), path, operation["operationId"])
        for path, methods in served["paths"].items()
        for method, operation in methods.items()
    }
    assert documented == {(route.method, route.path, route.operation) for route in ROUTES}


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere(api: Asker) -> None:
    served = api.get("/openapi.json")
    schemas = served.json["components"]["schemas"]
    for name, schema in schemas.items():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', served.body.decode()))
    assert references == set(schemas)


def test_patterns_are_those_of_other_languages_too(api: Asker) -> None:
    """`(?!\\n)$` is Python's way to mean the very end; elsewhere `$` means just that."""
    text = api.get("/openapi.json").body.decode()
    assert "(?!\\\\n)" not in text
    for pattern in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text):
        jsonschema_rs.meta.validate({"pattern": json.loads(pattern)})


def test_what_svix_serves_is_served_under_the_same_names() -> None:
    """The SDKs are made from these names of operations, and their paths."""
    wanted = {
        "application": "list create get upsert patch delete",
        "endpoint": "list create get upsert patch delete get-secret rotate-secret get-headers"
        " set-headers patch-headers get-stats get-attempt-stats send-example recover",
        "event-type": "list create get upsert patch delete",
        "message": "list create get expunge-content precheck",
        "message-attempt": "list-by-endpoint list-by-msg list-attempted-messages"
        " list-attempted-destinations get expunge-content resend",
        "authentication": "app-portal-access logout",
        "background-task": "get",
        "health": "get ping",
    }
    operations = {f"v1.{tag}.{verb}" for tag, verbs in wanted.items() for verb in verbs.split()}
    assert {route.operation for route in ROUTES} == operations


# ---- the page -----------------------------------------------------------------------------------


class Loaded(HTMLParser):
    """What a browser would fetch for a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" and "href" in values else []
        self.fetched += [values[name] for name in ("src", "srcset") if name in values]
        self.fetched += [values["href"]] if tag == "link" else []
        assert not [name for name in values if name.startswith("on")]


def test_the_page_needs_no_network(api: Asker) -> None:
    page = api.with_token("").get("//docs")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = Loaded()
    loaded.feed(page.body.decode())
    assert [place for place in loaded.fetched if not place.startswith("data:")] == []
    assert loaded.links
    assert {place for place in loaded.links if not place.startswith("#")} <= {
        "/api/v1/openapi.json"
    }
    assert {place[1:] for place in loaded.links if place.startswith("#")} <= set(loaded.ids)
    assert {route.operation for route in ROUTES} <= set(loaded.ids)


def test_the_page_is_closed_to_what_is_not_in_it(api: Asker) -> None:
    page = api.get("//docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_front_door_leads_to_the_page(api: Asker) -> None:
    door = api.get("//")
    assert (door.status, door.headers["location"]) == (307, "/docs")
