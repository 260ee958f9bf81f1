"""The stage of a module: one service for all its tests, with the settings that it names.

Stories to which it matters where things are kept run on both stores: a module says so by
`STORES = BOTH`, or its tests by asking for the `url` of a database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringback.serve import Service, running
from ringback.testing.asker import Asker
from ringback.testing.background import Background, settings_for
from ringback.testing.postgres import database
from ringback.testing.process import token
from ringback.testing.shop import BOTH
from ringback.testing.stage import Live, stage


@pytest.fixture(scope="module")
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live[Service]]:
    """It and its event loop. A module's `SETTINGS` are changes to the usual ones."""
    directory = tmp_path_factory.mktemp("api")
    with kept_in(getattr(request, "param", "sqlite"), directory) as url:
        changes = {"database": url, **getattr(request.module, "SETTINGS", {})}
        with Background(stage(running, settings_for(directory, **changes))) as background:
            yield background


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    stores = getattr(metafunc.module, "STORES", None)
    if stores and "live" in metafunc.fixturenames:
        metafunc.parametrize("live", stores, indirect=True, scope="module")


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database, of each store."""
    with kept_in(request.param, tmp_path) as made:
        yield made


@contextmanager
def kept_in(store: str, directory: Path) -> Iterator[str]:
    if store == "postgres":
        with database() as made:
            yield made
    else:
        yield f"sqlite:///{directory / 'ringback.db'}"


@pytest.fixture(scope="module")
def api(live: Live[Service]) -> Asker:
    """A caller with the token of an organization."""
    return Asker(live.value.service.url, token())


@pytest.fixture
def app(api: Asker) -> str:
    """The id of a new application."""
    return str(api.made("/app", {"name": "Shop"})["id"])
