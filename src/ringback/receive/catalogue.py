"""The page of all providers, docs/providers.md, written from their schemes and docstrings.

    python -m ringback.receive.catalogue

Nothing is said here that the code does not know: what an event is deduped by, and whether that is
signed, is found out by signing one.
"""

import re
import sys
from importlib import import_module
from typing import Final

from ringback.receive.verification import providers, sign, verify
from ringback.sign import providers as registry
from ringback.sign.event import VerifiedEvent, enveloped
from ringback.sign.scheme import Draft, Field, Header, HeaderAndBody, Joined, Place, Scheme

HEAD: Final = """\
# Providers

This page is generated from the providers' schemes (`make docs`).

```python
from ringback.receive import verify

event = verify("stripe", headers, body, secrets=["whsec_…"], now_s=time.time())
```

What the columns say:

- **Freshness**: how far the signed time may be from now; with none, only deduping stops replays.
- **Dedupe by**: where `event.id` comes from, first of all. *Unsigned* means that whoever has seen
  the request can send it again with another one. A *digest* is that of the body.
  *Nothing*: there is no id, and two events may be the same bytes, so the inbox keeps each.
- **URL**: whether the URL is signed, so that the receiver must say its public one.
- **Handshake**: whether there is one that must be answered; see below.
- **Receipt**: the status that the provider wants.
- **Vectors**: whether signatures that the provider published are in the test suite, or its own
  package is held against Ringback there (*vendor's*); or only signatures that were made there from
  its documentation (*local*).
- **Known**: how well the signature's form is known. *A*: from the primary source, which is the
  specification, the provider's own software or its documentation. *B*: from excerpts of the
  documentation, or from a careful secondary source that quotes it. *C*: from general knowledge of
  the documentation; try it with a real webhook before you rely on it.
"""
SECRETS: Final = """
## What to give as the secret, and what to beware of

| Name | Secret | Beware |
|---|---|---|
"""
HANDSHAKES: Final = """
## Handshakes

`respond` answers them; ask it first, for every request.
"""
ABSENT: Final = """
## Not here, and why

What is left out is refused, and never taken on less proof. `hmac_scheme` declares a provider that
is not in the table, if it signs with HMAC.
"""
_ABSENT: Final = (
    (
        "Azure Event Grid (CloudEvents), and its `OPTIONS` handshake",
        "deliveries are not signed: they carry a token of Entra ID, or what was put into the URL",
    ),
    (
        "WebSub subscribers",
        "to confirm a subscription is to know which topics were asked for, which only the"
        " application does; the signature is that of `bitbucket`, by `hmac_scheme`",
    ),
    (
        "Monday, and its `challenge`",
        "only the webhooks of integrations are signed, by a JWT that says nothing about the body",
    ),
    (
        "FusionAuth with RSA or elliptic curve keys",
        "the public keys are the instance's own, and no host of theirs can be known here to fetch"
        " them from; `fusionauth` takes HMAC keys",
    ),
    (
        "Twilio's signature with a key of its own (`SharedKey`)",
        "a header that is not signed would choose the algorithm and the key",
    ),
    (
        "Jira webhooks of OAuth and Connect apps",
        "their JWT does not cover the body, and how it is signed is not documented",
    ),
    (
        "Microsoft Graph's `validationTokens` and encrypted resource data",
        "the tokens cover no part of the notification; `clientState` is what is compared",
    ),
    (
        "SendGrid's Inbound Parse",
        "it is signed by a policy of its own, whose signed bytes are not known here for sure",
    ),
    ("Paddle Classic", "its signature is over PHP's serialization, and it takes no new sellers"),
    ("Klaviyo's webhooks of flows", "they are not signed"),
    ("AWS SNS with raw message delivery", "it has no signature at all"),
)
_TITLES: Final = (
    "| Name | Provider | Signature | Freshness | Dedupe by | URL | Handshake | Receipt | Vectors "
    "| Known |"
)
_AT_S: Final = 1_735_689_600
_HANDSHAKE: Final = re.compile(r"^Handshake(?: \(([^)]+)\))?[:,] (.+?)\n\n", re.M | re.S)


def page() -> str:
    """docs/providers.md."""
    schemes = providers()
    lines = [HEAD, _TITLES, "|" + "---|" * (_TITLES.count("|") - 1)]
    lines += [_row(scheme) for scheme in schemes]
    secrets = [f"| `{one.name}` | {_cell(one.secret)} | {_cell(one.caution)} |" for one in schemes]
    handshakes = [f"- `{name}`: {text}" for name, text in _handshakes()]
    absent = [f"- {what}: {why}." for what, why in _ABSENT]
    return "\n".join(
        [*lines, SECRETS.rstrip(), *secrets, HANDSHAKES, *handshakes, ABSENT, *absent, ""]
    )


def _row(scheme: Scheme) -> str:
    cells = [
        f"`{scheme.name}`",
        f"[{_cell(scheme.title)}]({scheme.documentation})",
        _cell(scheme.signature),
        f"{scheme.tolerance_s} s" if scheme.tolerance_s else "none",
        _dedupe(scheme),
        "signed" if scheme.needs_url else "",
        "yes" if scheme.respond else "",
        str(scheme.accepted.status),
        "vendor's" if scheme.vectors == "vendor" else "local",
        scheme.confidence or "",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*")


def _dedupe(scheme: Scheme) -> str:
    event = _probe(scheme)
    if scheme.parts:
        found = "each event's own id" + ("" if scheme.bodies_repeat else ", else its digest")
    elif scheme.id:
        found = _place(scheme.id[0])
    elif event is None or not event.id.startswith("sha256:"):
        found = "an id in what is signed"
    else:
        found = "nothing" if scheme.bodies_repeat else "digest"
    is_signed = event.is_id_signed if event else scheme.covers_body or not scheme.id
    return found if is_signed else f"{found}, unsigned"


def _probe(scheme: Scheme) -> VerifiedEvent | None:
    """An event of the provider; None where that takes a certificate."""
    if scheme.keys is None:
        return None
    pair = scheme.keys(b"\1" * 32)
    body = enveloped(scheme, Draft(body=b"", timestamp_s=_AT_S), {})
    made = sign(scheme, Draft(body=body, timestamp_s=_AT_S), pair.signing)
    return verify(
        scheme,
        made.headers,
        made.body,
        secrets=pair.verifying,
        now_s=_AT_S,
        url=made.url,
        method=made.method,
        documents=made.documents,
    )


def _place(place: Place) -> str:
    match place:
        case Header(name):
            return f"`{name}`"
        case HeaderAndBody(name):
            return f"`{name}` + digest"
        case Field(path):
            return f"`{path}` in the body"
        case Joined(fields):
            return " + ".join(f"`{field.path}`" for field in fields) + " in the body"


def _handshakes() -> list[tuple[str, str]]:
    """What the docstrings say about them, with the words in one line."""
    found = []
    for name in registry.names():
        text = import_module(f"{registry.__name__}.{name}").__doc__ or ""
        if form := _HANDSHAKE.search(text):
            words = " ".join(form[2].split())
            found.append((name, f"({form[1]}) {words}" if form[1] else words))
    return found


if __name__ == "__main__":
    sys.stdout.write(page())
