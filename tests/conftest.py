"""What holds for every test: no deadline that a busy machine could miss, no foreign settings."""

import os

import pytest
from hypothesis import HealthCheck, settings

# In CI the same examples each time; elsewhere new ones, and what failed is remembered.
settings.register_profile(
    "ringback",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ringback")


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's RINGBACK_* variables must not decide what a test sees."""
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)
