"""Whoever says that a vendor's own signature is tested names the test, and nobody else does."""

from importlib import import_module
from pathlib import Path

import pytest

from ringback.receive import providers
from ringback.sign import providers as registry

HERE = Path(__file__).parent
PUBLISHED = "test_sign_providers_vectors.py::test_a_vendor_s_vector_is_accepted"
PUBLISHED_TOO = "test_sign_providers_plain.py::test_a_vendor_s_vector_is_accepted_as_it_is"
PACKAGE = "test_receive_differential.py::test_what_we_sign_their_package_accepts"
PACKAGE_TOO = "test_receive_differential_vendors.py::test_what_we_sign_their_package_accepts"
EVIDENCE = {
    "adyen": PUBLISHED,
    "adyen_platform": PUBLISHED,
    "anthropic": PACKAGE_TOO,
    "bitbucket": PUBLISHED,
    "box": PUBLISHED_TOO,
    "braintree": "test_receive_differential.py::test_braintree_s_package_signs_what_we_accept",
    "coinbase_commerce": PUBLISHED_TOO,
    "discord": PACKAGE_TOO,
    "github": PUBLISHED,
    "hook0": "test_sign_providers_hook0.py::test_the_vendor_s_vector_is_what_is_computed",
    "hubspot": "test_sign_providers_hubspot.py::test_the_vendor_s_v3_vector",
    "hubspot_v1": "test_sign_providers_hubspot.py::test_the_vendor_s_v1_vector",
    "hubspot_v2": "test_sign_providers_hubspot.py::test_the_vendor_s_v2_vector",
    "openai": PACKAGE_TOO,
    "paddle": PUBLISHED_TOO,
    "pagerduty": PUBLISHED_TOO,
    "razorpay": PACKAGE,
    "resend": PACKAGE_TOO,
    "sendgrid": PUBLISHED,
    "slack": PUBLISHED,
    "square": PUBLISHED,
    "standard": PUBLISHED,
    "stripe": PACKAGE,
    "svix": PACKAGE,
    "twilio": PUBLISHED,
    "workos": PACKAGE_TOO,
}


def test_every_claim_of_a_vendor_s_own_signature_has_its_evidence() -> None:
    claims = {scheme.name for scheme in providers() if scheme.vectors == "vendor"}

    assert claims == set(EVIDENCE)


@pytest.mark.parametrize(("provider", "evidence"), EVIDENCE.items(), ids=EVIDENCE)
def test_the_evidence_is_a_test_that_names_the_provider(provider: str, evidence: str) -> None:
    file, _, test = evidence.partition("::")
    text = (HERE / file).read_text()

    assert f"def {test}(" in text
    assert f'"{provider}"' in text


def test_every_provider_says_how_well_it_is_known() -> None:
    says = {scheme.name: scheme.confidence for scheme in providers()}

    assert set(says.values()) <= {"A", "B", "C"}
    assert all(says[name] == "A" for name in EVIDENCE)


def test_every_window_is_accounted_for() -> None:
    """By the docstring of the provider, or of the scheme that it shares with others."""
    for scheme in providers():
        if scheme.tolerance_s is not None:
            modules = (f"{registry.__name__}.{scheme.name}", scheme.check.__module__)
            told = "".join(import_module(module).__doc__ or "" for module in modules)
            assert "window" in told, scheme.name


def test_a_window_is_not_shorter_than_the_retries_that_may_not_be_signed_anew() -> None:
    windows = {scheme.name: scheme.tolerance_s for scheme in providers()}

    retries_s = {"zoom": 85 * 60, "discord": 10 * 60, "zendesk": 5 * 90, "aws_sns": 3_600}
    retries_s |= {"paypal": 3 * 86_400, "sendgrid": 86_400, "mailgun": 8 * 3_600}
    for name, retry_s in retries_s.items():
        assert (windows[name] or 0) >= retry_s, name
