"""The pytest plugin: fixtures for tests of receivers. pytest finds it by its entry point.

    webhook       makes signed requests of every provider, see `testing.requests`
    deliveries    loses, repeats, reorders, delays and damages them, see `testing.deliveries`

It is loaded whenever pytest starts with Ringback installed, so it loads nothing itself: what a
fixture needs is imported when a test asks for it. `-p no:ringback` leaves it out.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ringback.testing.deliveries import Deliveries
    from ringback.testing.requests import Webhooks


@pytest.fixture
def webhook() -> "Webhooks":
    """Signed requests: `webhook.stripe("payment_intent.succeeded", {…}).send(client, "/path")`."""
    from ringback.testing.requests import Webhooks

    return Webhooks()


@pytest.fixture
def deliveries() -> "Callable[..., Deliveries]":
    """What a network does to them: `deliveries(requests, seed=1).duplicate(0.3).reorder(5)`."""
    from ringback.testing.deliveries import Deliveries

    return Deliveries
