"""More vendors' own packages on the same requests as ours: each accepts what we sign, and we refuse
what it refuses. They are in the extra `vendors`; tests of one that is missing are skipped, unless
RINGBACK_TEST_VENDORS is set, as `make test` does.
"""

import json
import os
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import VerificationError
from ringback.receive import Draft, Signed, providers, sign, verify
from ringback.sign.event import enveloped
from ringback.testing.provider_keys import key_pair

MUST_BE_INSTALLED = bool(os.environ.get("RINGBACK_TEST_VENDORS"))
URL = "https://shop.example/hooks?a=1"
SCHEMES = {scheme.name: scheme for scheme in providers()}
few = settings(max_examples=60, deadline=None, derandomize=True)
payloads = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8),
    st.one_of(st.text(max_size=20), st.integers(-(2**31), 2**31), st.none(), st.booleans()),
    max_size=5,
)


def package(name: str) -> ModuleType:
    """A vendor's package; what it warns of when it is imported is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not MUST_BE_INSTALLED:
            pytest.importorskip(name.partition(".")[0])
        return import_module(name)


def secret(provider: str) -> str:
    return key_pair(SCHEMES[provider], 1).verifying


def header(request: Signed, name: str) -> str:
    return {other.lower(): text for other, text in request.headers}[name]


def adyen_s(request: Signed) -> bool:
    util = package("Adyen.util")
    try:
        return bool(util.is_valid_hmac_notification(json.loads(request.body), secret("adyen")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def adyen_platform_s(request: Signed) -> bool:
    util = package("Adyen.util")
    signature = header(request, "hmacsignature")
    key = secret("adyen_platform")
    return bool(util.is_valid_hmac_payload(signature, key, request.body))


def hubspot_s(version: str) -> Callable[[Signed], bool]:
    def accepts(request: Signed) -> bool:
        signature = package("hubspot.utils.signature").Signature
        provider = "hubspot" if version == "v3" else f"hubspot_{version}"
        is_new = version == "v3"
        return bool(
            signature.is_valid(
                header(request, f"x-hubspot-signature{'-v3' if is_new else ''}"),
                secret(provider),
                request.body.decode(),
                http_uri=request.url,
                http_method=request.method,
                signature_version=version,
                timestamp=header(request, "x-hubspot-request-timestamp") if is_new else None,
            )
        )

    return accepts


def square_s(request: Signed) -> bool:
    return bool(
        package("square.utils.webhooks_helper").verify_signature(
            request_body=request.body.decode(),
            signature_header=header(request, "x-square-hmacsha256-signature"),
            signature_key=secret("square"),
            notification_url=request.url,
        )
    )


def discord_s(request: Signed) -> bool:
    return bool(
        package("discord_interactions").verify_key(
            request.body,
            header(request, "x-signature-ed25519"),
            header(request, "x-signature-timestamp"),
            secret("discord"),
        )
    )


def coinbase_commerce_s(request: Signed) -> bool:
    webhook = package("coinbase_commerce.webhook")
    error = package("coinbase_commerce.error").SignatureVerificationError
    given = header(request, "x-cc-webhook-signature")
    try:
        webhook.WebhookSignature.verify_sig_header(
            request.body.decode(), given, secret("coinbase_commerce")
        )
    except error:
        return False
    return True


def sendgrid_s(request: Signed) -> bool:
    webhook = package("sendgrid.helpers.eventwebhook").EventWebhook(secret("sendgrid"))
    prefix = "x-twilio-email-event-webhook-"
    return bool(
        webhook.verify_signature(
            request.body.decode(),
            header(request, prefix + "signature"),
            header(request, prefix + "timestamp"),
        )
    )


def workos_s(request: Signed) -> bool:
    webhooks = package("workos.webhooks._verification")
    try:
        webhooks.verify_header(
            event_body=request.body,
            event_signature=header(request, "workos-signature"),
            secret=secret("workos"),
        )
    except ValueError:
        return False
    return True


def openai_s(request: Signed) -> bool:
    openai = package("openai")
    try:
        openai_client().webhooks.verify_signature(
            request.body, dict(request.headers), secret=secret("openai")
        )
    except openai.InvalidWebhookSignatureError:
        return False
    return True


def anthropic_s(request: Signed) -> bool:
    error = package("standardwebhooks").WebhookVerificationError
    try:
        anthropic_client().beta.webhooks.unwrap(
            request.body.decode(), headers=dict(request.headers), key=secret("anthropic")
        )
    except error:
        return False
    return True


def resend_s(request: Signed) -> bool:
    names = ("id", "timestamp", "signature")
    options = {
        "payload": request.body.decode(),
        "headers": {name: header(request, f"svix-{name}") for name in names},
        "webhook_secret": secret("resend"),
    }
    try:
        package("resend").Webhooks.verify(options)
    except ValueError:
        return False
    return True


@cache
def openai_client() -> Any:
    return package("openai").OpenAI(api_key="not used")


@cache
def anthropic_client() -> Any:
    return package("anthropic").Anthropic(api_key="not used")


THEIRS: dict[str, Callable[[Signed], bool]] = {
    "adyen": adyen_s,
    "adyen_platform": adyen_platform_s,
    "anthropic": anthropic_s,
    "coinbase_commerce": coinbase_commerce_s,
    "discord": discord_s,
    "hubspot": hubspot_s("v3"),
    "hubspot_v1": hubspot_s("v1"),
    "hubspot_v2": hubspot_s("v2"),
    "openai": openai_s,
    "resend": resend_s,
    "sendgrid": sendgrid_s,
    "square": square_s,
    "workos": workos_s,
}


def made(provider: str, payload: object) -> Signed:
    draft = Draft(body=b"", timestamp_s=int(time.time()), id="evt_1", type="a.b", url=URL)
    body = enveloped(SCHEMES[provider], draft, payload)
    draft = Draft(
        body=body, timestamp_s=draft.timestamp_s, id=draft.id, type=draft.type, url=draft.url
    )
    return sign(provider, draft, key_pair(SCHEMES[provider], 1).signing)


def ours(provider: str, request: Signed) -> bool:
    arguments: dict[str, Any] = {"url": request.url, "method": request.method}
    try:
        verify(
            provider,
            request.headers,
            request.body,
            secrets=secret(provider),
            now_s=time.time(),
            **arguments,
        )
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("provider", THEIRS)
@few
@given(payload=payloads)
def test_what_we_sign_their_package_accepts(provider: str, payload: object) -> None:
    request = made(provider, payload)

    assert THEIRS[provider](request)
    assert ours(provider, request)


@pytest.mark.parametrize("provider", THEIRS)
@few
@given(payload=payloads, at=st.integers(0, 10**6), letter=st.sampled_from("0aZ :,{}\n"))
def test_what_their_package_refuses_we_refuse_too(
    provider: str, payload: object, at: int, letter: str
) -> None:
    request = made(provider, payload)
    text = request.body.decode()
    at %= len(text) + 1
    body = (text[:at] + letter + text[at:]).encode()
    altered = Signed(request.method, request.url, request.headers, body)

    if not THEIRS[provider](altered):
        assert not ours(provider, altered)
    if SCHEMES[provider].covers_body:
        assert not ours(provider, altered)
