"""The OpenAPI 3.1 document, made from the table of routes and the schemas of its Structs."""

import json
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from ringback import __version__
from ringback.api.access import Access
from ringback.api.route import Route
from ringback.api.routes import ROUTES
from ringback.api.schemas.problem import HttpErrorOut, HTTPValidationError
from ringback.api.schemas.words import END

REFERENCE: Final = "#/components/schemas/{name}"
_REASONS: Final = {
    200: "Done",
    201: "Created",
    202: "Accepted",
    204: "Done, nothing to say",
    400: "The request makes no sense",
    401: "The token is missing or invalid",
    403: "The token does not allow this",
    404: "There is no such thing",
    409: "Something has this name already",
    413: "The body is too large",
    422: "A value breaks a rule",
    429: "Too many requests",
    501: "Not implemented",
    503: "Try again",
}
_ABOUT: Final = (
    "Webhooks: register endpoints, send messages, see and repeat deliveries.\n\n"
    "The API is that of Svix, version 1: its SDKs work with it. What is added is in the same style."
    " Send a bearer token with every request; `ringback token` prints one."
    " A POST with an `Idempotency-Key` is done once, however often it is sent."
)


@cache
def openapi_json() -> bytes:
    """The document as JSON."""
    return json.dumps(openapi(), ensure_ascii=False).replace(json.dumps(END)[1:-1], "$").encode()


def openapi() -> dict[str, Any]:
    components = _components()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringback", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"Bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in ROUTES)],
        "paths": _paths(components),
        "webhooks": {"delivery": {"post": _delivery()}},
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _components() -> dict[str, Any]:
    types: set[type[Struct]] = {HttpErrorOut, HTTPValidationError}
    for route in ROUTES:
        types.update(shape for shape in (route.body, route.out, route.query) if shape)
    ordered = sorted(types, key=str)
    _, components = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
    return dict(components)


def _paths(components: dict[str, Any]) -> dict[str, Any]:
    queries = {route.query.__name__ for route in ROUTES if route.query is not None}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        operation = _operation(route, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for name in queries:
        del components[name]
    return paths


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    who = {
        Access.ORG: "Organization token.",
        Access.APP: f"Organization token, or application token with {route.needs}.",
        Access.NONE: "No token.",
    }[route.who]
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"{route.description}\n\n{who}".strip(),
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route, components)],
        "responses": _responses(route),
    }
    if route.who is Access.NONE:
        operation["security"] = []
    if route.method == "POST" and route.who is not Access.NONE:
        operation["parameters"].append(_idempotency_key())
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    about = {
        "event_type_name": "The name of the event type.",
        "attempt_id": "The id of the attempt.",
        "task_id": "The id of the task.",
    }
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": about.get(name, "The id, or your own id (uid, eventId)."),
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "pattern": r"^[a-zA-Z0-9\-_.]+$",
            },
        }
        for name in names
    ]


def _query_parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    shape = components[route.query.__name__]
    parameters = []
    for name, property_schema in shape["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": False}
        schema = dict(property_schema)
        parameter["description"] = schema.pop("description", "")
        parameter["schema"] = _without_null(schema)
        if name == "event_types":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: the parameter is left out instead."""
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
    return schema | kinds[0] if len(kinds) == 1 else schema


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": "idempotency-key",
        "in": "header",
        "required": False,
        "description": "The same key gives the first answer again instead of doing it twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"},
    }


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in route.statuses:
        responses[str(status)] = {"description": _REASONS[status]}
        if route.out is not None:
            responses[str(status)] |= _json(_reference(route.out))
    for status in route.errors:
        shape = HTTPValidationError if status == 422 else HttpErrorOut
        responses[str(status)] = {"description": _REASONS[status], **_json(_reference(shape))}
    return responses


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _reference(shape: type[Struct]) -> dict[str, Any]:
    reference, _ = msgspec.json.schema_components([shape], ref_template=REFERENCE)
    return dict(reference[0])


def _delivery() -> dict[str, Any]:
    """What a receiver gets (Standard Webhooks)."""
    headers = {
        "webhook-id": "The message's id; the same for every attempt, so that it can be deduped.",
        "webhook-timestamp": "Unix seconds of this attempt.",
        "webhook-signature": "v1,… (HMAC-SHA256) or v1a,… (Ed25519) of `id.timestamp.body`, base64;"
        " several are separated by spaces.",
    }
    return {
        "summary": "A delivery to an endpoint",
        "description": "Answer 2xx for a receipt; anything else is tried again later.",
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": about,
                "schema": {"type": "string"},
            }
            for name, about in headers.items()
        ],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"2XX": {"description": "Received"}},
    }
