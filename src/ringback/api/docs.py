"""The documentation page: one HTML page made from the OpenAPI document, whole without a network.

Nothing is loaded from anywhere: style and script are inline, and the page's policy allows these two
by their hashes and nothing else.
"""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from ringback.api.call import Answer

_BASE: Final = "http://127.0.0.1:8071"


def docs_page(document: bytes) -> Answer:
    """The page with the headers that keep it closed."""
    room = files("ringback.api") / "page"
    style, script = (room / "docs.css").read_text(), (room / "docs.js").read_text()
    spec = json.loads(document)
    html = Template((room / "docs.html").read_text()).substitute(
        style=style,
        script=script,
        title=escape(spec["info"]["title"]),
        version=escape(spec["info"]["version"]),
        about=_paragraphs(spec["info"]["description"]),
        index=_index(spec),
        operations=_operations(spec),
        schemas=_schemas(spec),
    )
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Answer(
        200,
        html.encode(),
        (
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
        ),
        b"text/html; charset=utf-8",
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)


def _each(spec: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    ]


# ---- operations ---------------------------------------------------------------------------------


def _index(spec: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for method, path, operation in _each(spec):
        groups.setdefault(operation["tags"][0], []).append(
            f'<li class="found" data-words="{escape(_words(method, path, operation))}">'
            f'<a href="#{escape(operation["operationId"])}"><b>{method}</b>'
            f" {escape(operation['summary'])}</a></li>"
        )
    return "".join(
        f"<h3>{escape(tag)}</h3><ul>{''.join(entries)}</ul>" for tag, entries in groups.items()
    )


def _words(method: str, path: str, operation: dict[str, Any]) -> str:
    return f"{method} {path} {operation['summary']} {operation['operationId']}".lower()


def _operations(spec: dict[str, Any]) -> str:
    return "".join(_operation(*each) for each in _each(spec))


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    parts = [
        f'<section class="found" id="{escape(operation["operationId"])}"'
        f' data-words="{escape(_words(method, path, operation))}">',
        f"<h2>{escape(operation['summary'])}</h2>",
        f'<p class="path"><b class="{method.lower()}">{method}</b> <code>{escape(path)}</code></p>',
        _paragraphs(operation["description"]),
        _parameters(operation["parameters"]),
        f"<p>Body: {_kind(body['schema'])}</p>" if body else "",
        _responses(operation["responses"]),
        f"<pre><code>{escape(_curl(method, path, has_body=bool(body)))}</code></pre>",
        "</section>",
    ]
    return "".join(parts)


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{_kind(each['schema'])}</td><td>{escape(each['description'])}</td></tr>"
        for each in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _responses(responses: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{_response_kind(each)}</td>"
        f"<td>{escape(each['description'])}</td></tr>"
        for status, each in responses.items()
    )
    return f"<table>{rows}</table>"


def _response_kind(response: dict[str, Any]) -> str:
    content = response.get("content", {}).get("application/json")
    return "" if content is None else _kind(content["schema"])


def _curl(method: str, path: str, *, has_body: bool) -> str:
    lines = [f"curl -X {method} {_BASE}{path}", '  -H "authorization: Bearer $TOKEN"']
    if has_body:
        lines += ['  -H "content-type: application/json"', "  -d '{…}'"]
    return " \\\n".join(lines)


# ---- schemas ------------------------------------------------------------------------------------


def _schemas(spec: dict[str, Any]) -> str:
    return "".join(
        f'<section id="schema-{escape(name)}"><h2>{escape(name)}</h2>'
        f"{_paragraphs(schema.get('description', ''))}{_fields(schema)}</section>"
        for name, schema in spec["components"]["schemas"].items()
    )


def _fields(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return f"<p>{_kind(schema)}</p>"
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'*' if name in required else ''}</td>"
        f"<td>{_kind(field)}</td><td>{escape(field.get('description', ''))}"
        f"{' (old name)' if field.get('deprecated') else ''}</td></tr>"
        for name, field in schema["properties"].items()
    )
    return f"<table>{rows}</table>"


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, with a link to the ones that have a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(str(value) for value in schema["enum"]))
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return escape(str(schema.get("format", kind)))
