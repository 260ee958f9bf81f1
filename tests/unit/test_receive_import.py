"""The receiver kit is light: what its import loads, seen from a fresh interpreter."""

import subprocess
import sys

HEAVY = {
    "aiohttp", "apsw", "asyncio", "asyncpg", "click", "cryptography", "django", "fastapi", "flask",
    "httptools", "httpx", "jinja2", "jsonschema_rs", "jwt", "pydantic", "requests", "sqlite3",
    "ssl", "starlette", "structlog", "urllib.request", "uvicorn", "uvloop",
}  # fmt: skip
OTHER_ROOMS = {"api", "cli", "config", "engine", "front", "rules", "serve", "store", "wire"}

VERIFY = """
import sys
from ringback.receive import Draft, sign, verify
made = sign({provider!r}, Draft(body=b"{{}}", timestamp_s=1, url="https://a.example/"), {secret!r})
verify({provider!r}, made.headers, made.body, secrets={secret!r}, now_s=1, url=made.url)
print(*sys.modules)
"""


def modules_after(program: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(shown.stdout.split())


def heavy(modules: set[str]) -> set[str]:
    ours = {f"ringback.{room}" for room in OTHER_ROOMS}
    return modules & (HEAVY | ours)


def test_the_package_alone_loads_next_to_nothing() -> None:
    modules = modules_after("import sys, ringback.receive; print(*sys.modules)")

    assert heavy(modules) == set()
    assert not any(name.startswith("ringback.sign") for name in modules)


def test_verifying_hmac_loads_no_framework_and_no_cryptography() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    for provider in ("stripe", "standard", "square"):
        modules = modules_after(VERIFY.format(provider=provider, secret=secret))
        assert heavy(modules) == set()


def test_only_the_provider_that_is_asked_for_is_loaded() -> None:
    modules = modules_after(VERIFY.format(provider="stripe", secret="whsec_x"))

    loaded = {name for name in modules if name.startswith("ringback.sign.providers.")}
    assert loaded == {"ringback.sign.providers.stripe"}


def test_the_public_names_are_there() -> None:
    import ringback.receive as kit

    assert dir(kit) == sorted(kit.__all__)
    for name in kit.__all__:
        assert getattr(kit, name) is not None
    try:
        kit.nothing  # noqa: B018
    except AttributeError as error:
        assert "nothing" in str(error)  # noqa: PT017
    else:
        raise AssertionError("a name that is not there was found")
