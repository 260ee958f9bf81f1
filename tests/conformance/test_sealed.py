"""Secrets that do not open: a wrong main secret starts nothing, a single one harms nobody else."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ringback.config import Settings
from ringback.errors import MainSecretNeeded
from ringback.model import Secret
from ringback.sign.sealing import NONCE_BYTES, Sealer, owner
from ringback.store.port import Store
from ringback.store.postgres import sealed as postgres_sealed
from ringback.store.postgres import store as postgres
from ringback.store.sqlite import sealed as sqlite_sealed
from ringback.store.sqlite import store as sqlite
from ringback.testing.nouns import SECRET
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World

MAIN = "m" * 32
OTHER = "o" * 32


class Place:
    """A database that can be opened again with another main secret."""

    def __init__(self, url: str, file: Path | None) -> None:
        self._url = url
        self._file = file

    async def open(self, main_secret: str = MAIN) -> Store:
        settings = Settings(database=self._url, main_secret=main_secret, sqlite_readers=1)
        if self._file is None:
            return await postgres.open_store(settings, StillClock())
        return await sqlite.open_store(self._file, settings, StillClock())

    async def check(self, main_secret: str) -> None:
        """What `doctor` asks."""
        settings = Settings(database=self._url, main_secret=main_secret)
        if self._file is None:
            await postgres_sealed.check_database(settings)
        else:
            sqlite_sealed.check_file(self._file, settings)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place("sqlite:///unused.db", tmp_path / "ringback.db")
        return
    with database() as url:
        yield Place(url, None)


def closed(app_id: str, endpoint_id: str) -> Secret:
    """A secret that another main secret has sealed; it is stored as it is."""
    aad = owner(app_id, endpoint_id)
    return Secret(Sealer(OTHER).seal(SECRET, aad=aad, nonce=bytes(NONCE_BYTES)), None, "closed")


@pytest.mark.parametrize(("main_secret", "why"), [(OTHER, "another main_secret"), ("", "none is")])
def test_nothing_is_opened_with_a_main_secret_that_opens_nothing(
    place: Place, main_secret: str, why: str
) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(place.open())
        world = World(runner, store, StillClock())
        endpoint = world.endpoint(world.app())
        runner.run(store.close())

        with pytest.raises(MainSecretNeeded, match=f"{why}.*start with that one"):
            runner.run(place.open(main_secret))
        with pytest.raises(MainSecretNeeded, match=why):
            runner.run(place.check(main_secret))

        runner.run(place.check(MAIN))
        store = runner.run(place.open())
        found = runner.run(store.resources.get_endpoint(endpoint.app_id, endpoint.id))
        assert found is not None
        assert found.secrets == (Secret(SECRET),)
        runner.run(store.close())


def test_what_was_never_sealed_opens_with_any_main_secret(place: Place) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(place.open(""))
        world = World(runner, store, StillClock())
        world.endpoint(world.app())
        runner.run(store.close())
        runner.run(runner.run(place.open(MAIN)).close())


def test_one_secret_that_does_not_open_is_kept_and_keeps_nobody_from_the_others(
    place: Place,
) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(place.open())
        world = World(runner, store, StillClock())
        app = world.app()
        sound = world.endpoint(app)
        blank = world.new_endpoint(app)
        sealed = closed(app.id, blank.id)
        broken = world.endpoint(app, id=blank.id, secrets=(sealed,))
        runner.run(store.close())
        store = runner.run(place.open())  # one that opens is enough to start

        routing = runner.run(store.path.routing_of(app.id))
        assert routing is not None
        secrets = {endpoint.id: endpoint.secrets[0] for endpoint in routing.endpoints}
        assert secrets[sound.id] == Secret(SECRET)
        assert secrets[broken.id].key == sealed.key
        assert "another main_secret" in secrets[broken.id].why_closed

        changed = runner.run(
            store.resources.update_endpoint(
                app.id, broken.id, lambda old: msgspec.structs.replace(old, description="new")
            )
        )
        assert changed.secrets[0].key == sealed.key, "sealed again, or lost"
        runner.run(store.close())
