"""The stage of a module: one service for all its tests, with the settings that it names."""

from collections.abc import Iterator

import pytest

from ringback.serve import Service, running
from ringback.testing.asker import Asker
from ringback.testing.background import Background, settings_for
from ringback.testing.process import token
from ringback.testing.stage import Live, stage


@pytest.fixture(scope="module")
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live[Service]]:
    """It and its event loop. A module's `SETTINGS` are changes to the usual ones."""
    changes = getattr(request.module, "SETTINGS", {})
    settings = settings_for(tmp_path_factory.mktemp("api"), **changes)
    with Background(stage(running, settings)) as background:
        yield background


@pytest.fixture(scope="module")
def api(live: Live[Service]) -> Asker:
    """A caller with the token of an organization."""
    return Asker(live.value.service.url, token())


@pytest.fixture
def app(api: Asker) -> str:
    """The id of a new application."""
    return str(api.made("/app", {"name": "Shop"})["id"])
