"""From a Svix server's database into ours: the same ids, secrets and rules, or nothing at all."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ringback.cli.transfer import command
from ringback.clock import Clock
from ringback.config import Settings
from ringback.database import open_database
from ringback.errors import ConfigError, Invalid, SchemaMismatch, StoreUnavailable
from ringback.model import Application, Endpoint, Secret, SignatureType
from ringback.sign.secret import generate
from ringback.store.port import Store
from ringback.store.svix.secrets import SvixSecrets
from ringback.store.svix.source import open_svix
from ringback.store.svix.walk import Moved, move
from ringback.testing import nouns
from ringback.testing.postgres import shared_server
from ringback.testing.svix_database import ED25519, SvixDatabase, secret_text, stored_key

ORG = "org_23rb8YdGqMT0qIzpgGwdXfHirMu"
APP = "app_2XbIzFvkWUYLUoNiKQOuI7nrBbG"
OTHER_APP = "app_2XbIzFvkWUYLUoNiKQOuI7nrBbH"
PLAIN, SEALED, LEGACY, PAIR = (f"ep_2XbIzFvkWUYLUoNiKQOuI7nrBb{letter}" for letter in "ABCD")
MAIN_SECRET = "svix's main secret"
KEY = bytes(range(32))
LATER = "ep_2XbIzFvkWUYLUoNiKQOuI7nrBbE"
OWN = nouns.endpoint(id="ep_own", app_id=APP, uid="later", version=0)
APP_OF_ANOTHER = Application("app_later", "org_another", "Later", None, None, {}, 0, 0, 0)
AT_MS = 1_746_093_600_123  # AT of `svix_database`
NOW_MS = AT_MS + 1_000


@pytest.fixture
def svix() -> Iterator[SvixDatabase]:
    server = shared_server()
    url = server.create_empty_database()
    made = SvixDatabase(url)
    asyncio.run(fill(made))
    yield made
    server.drop_database(url)


async def fill(svix: SvixDatabase) -> None:
    pair = b64decode(generate(SignatureType.ED25519, KEY).removeprefix("whsk_"))
    app = {"org_id": ORG, "deleted": False}
    await svix.make()
    await svix.add("application", id=APP, name="Shop", uid="shop", rate_limit=7, **app)
    await svix.add("application", id=OTHER_APP, name="Other", **app)
    await svix.add("application", id="app_gone", name="Gone", org_id=ORG, deleted=True)
    await svix.add("applicationmetadata", id=APP, data={"plan": "gold"})
    endpoint = {"app_id": APP, "description": "", "version": 1, "deleted": False}
    await svix.add(
        "endpoint",
        id=PLAIN,
        url="https://shop.example/hooks",
        uid="hooks",
        key=stored_key(KEY),
        disabled=False,
        event_types_ids=["invoice.paid", "invoice.void"],
        channels=["eu"],
        rate_limit=3,
        headers={"X-Key": "value"},
        old_keys=[
            old_key(b64encode(stored_key(b"o" * 32)).decode(), "2025-05-02T00:00:00Z"),
            old_key(secret_text(b"p" * 24), "2025-05-02T00:00:00.5Z"),
            old_key(b64encode(stored_key(b"q" * 32)).decode(), "2025-04-30T00:00:00Z"),
        ],
        first_failure_at="2025-04-30 00:00:00+02",
        **{**endpoint, "description": "Ours"},
    )
    await svix.add("endpointmetadata", id=PLAIN, data={"team": "a"})
    off = {"url": "https://shop.example/", "disabled": True}
    sealed = stored_key(KEY, main_secret=MAIN_SECRET)
    await svix.add("endpoint", id=SEALED, key=sealed, **off, **endpoint)
    await svix.add("endpoint", id=LEGACY, key=b"l" * 24, **off, **endpoint)
    await svix.add("endpoint", id=PAIR, key=stored_key(pair, kind=ED25519), **off, **endpoint)
    gone = endpoint | {"deleted": True}
    await svix.add("endpoint", id="ep_gone", key=b"bad", **off, **gone)
    await svix.add(
        "eventtype",
        id="evtype_1",
        org_id=ORG,
        name="invoice.paid",
        description="An invoice was paid",
        deleted=False,
        schemas={"1": {"type": "object"}},
        feature_flag="beta",
        deprecated=True,
    )
    archived = {"org_id": ORG, "description": "", "deleted": True}
    await svix.add("eventtype", id="evtype_2", name="invoice.void", **archived)


def old_key(text: str, expiration: str) -> dict[str, str]:
    return {"signingKey": text, "expiration": expiration}


@pytest.fixture(params=["postgres", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(database=f"sqlite:///{tmp_path / 'ringback.db'}")
        return
    server = shared_server()
    url = server.create_database()
    yield Settings(database=url)
    server.drop_database(url)


def as_it_is(endpoint: Endpoint) -> Endpoint:
    return endpoint


def moved(
    svix: SvixDatabase,
    target: Settings,
    *,
    main_secret: str = MAIN_SECRET,
    accept: Callable[[Endpoint], Endpoint] = as_it_is,
    updates: bool = False,
) -> Moved:
    async def run(store: Store) -> Moved:
        async with open_svix(svix.url) as source:
            secrets = SvixSecrets(main_secret)
            return await move(
                source, store, secrets=secrets, accept=accept, now_ms=NOW_MS, updates=updates
            )

    outcome: Moved = within(target, run)
    return outcome


def within(target: Settings, act: Callable[[Store], Any]) -> Any:
    async def run() -> Any:
        store = await open_database(target, Clock())
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())


def test_everything_keeps_its_id_and_its_secret(svix: SvixDatabase, target: Settings) -> None:
    outcome = moved(svix, target)
    assert outcome == Moved(2, 4, 2, (ORG,), 8, ())

    async def look(store: Store) -> None:
        app = await store.resources.get_app(ORG, "shop")
        assert app is not None
        assert (app.id, app.name, app.throttle_rate) == (APP, "Shop", 7)
        assert (app.metadata, app.created_at_ms) == ({"plan": "gold"}, AT_MS)
        hooks = await store.resources.get_endpoint(APP, "hooks")
        assert hooks is not None
        assert (hooks.id, hooks.url) == (PLAIN, "https://shop.example/hooks")
        assert (hooks.event_types, hooks.channels) == (("invoice.paid", "invoice.void"), ("eu",))
        assert (hooks.throttle_rate, hooks.headers, hooks.description) == (
            3,
            {"X-Key": "value"},
            "Ours",
        )
        assert (hooks.metadata, hooks.failing_since_ms) == ({"team": "a"}, 1_745_964_000_000)
        # The current one, and two old ones that have not expired.
        assert hooks.secrets == (
            Secret(secret_text(KEY)),
            Secret(secret_text(b"o" * 32), 1_746_144_000_000),
            Secret(secret_text(b"p" * 24), 1_746_144_000_500),
        )
        for endpoint_id, secret in (
            (SEALED, secret_text(KEY)),
            (LEGACY, secret_text(b"l" * 24)),
            (PAIR, generate(SignatureType.ED25519, KEY)),
        ):
            found = await store.resources.get_endpoint(APP, endpoint_id)
            assert found is not None
            assert (found.is_disabled, found.secrets) == (True, (Secret(secret),))
            assert (found.event_types, found.channels, found.headers) == (None, None, {})
        paid = await store.resources.get_event_type(ORG, "invoice.paid")
        assert paid is not None
        assert (paid.schemas, paid.feature_flag) == ({"1": {"type": "object"}}, "beta")
        assert (paid.is_deprecated, paid.is_archived) == (True, False)
        void = await store.resources.get_event_type(ORG, "invoice.void")
        assert void is not None
        assert void.is_archived

    within(target, look)
    assert moved(svix, target).written == 0


def test_what_came_later_comes_with_the_next_move(svix: SvixDatabase, target: Settings) -> None:
    moved(svix, target)
    asyncio.run(
        svix.add("application", id="app_later", name="Later", org_id="org_2", deleted=False)
    )
    outcome = moved(svix, target)
    assert (outcome.written, outcome.organizations) == (1, ("org_2", ORG))


def test_with_one_problem_nothing_is_written(svix: SvixDatabase, target: Settings) -> None:
    for secret, why in (("", "SVIX_MAIN_SECRET"), ("wrong", "does not open")):
        outcome = moved(svix, target, main_secret=secret)
        assert [problem for problem in outcome.problems if why in problem] == [*outcome.problems]
        assert [problem.split(":")[0] for problem in outcome.problems] == [SEALED]
        assert outcome.written == 0

    def refuse(endpoint: Endpoint) -> Endpoint:
        raise Invalid("no such header", loc=("body",))

    assert len(moved(svix, target, accept=refuse).problems) == 4

    async def look(store: Store) -> None:
        assert await store.resources.get_app(ORG, APP) is None
        assert await store.resources.get_event_type(ORG, "invoice.paid") is None

    within(target, look)


def test_filters_and_strange_keys_are_named(svix: SvixDatabase, target: Settings) -> None:
    asyncio.run(svix.run("ALTER TABLE endpoint ADD COLUMN filter text"))
    asyncio.run(svix.run("UPDATE endpoint SET filter = 'x > 1' WHERE id = $1", PLAIN))
    asyncio.run(svix.run("UPDATE endpoint SET key = $2 WHERE id = $1", PAIR, b"\x03" + KEY))
    asyncio.run(svix.run("UPDATE endpoint SET key = $2 WHERE id = $1", LEGACY, b"short"))
    named = {problem.split(":")[0] for problem in moved(svix, target).problems}
    assert named == {PLAIN, PAIR, LEGACY}


def test_what_the_target_has_otherwise_stays(svix: SvixDatabase, target: Settings) -> None:
    moved(svix, target)
    asyncio.run(svix.run("UPDATE endpoint SET url = 'https://new.example/' WHERE id = $1", PLAIN))
    asyncio.run(svix.run("UPDATE application SET name = 'New' WHERE id = $1", APP))
    problems = moved(svix, target).problems
    assert {problem.split(":")[0] for problem in problems} == {PLAIN, APP}


def test_what_was_changed_since_is_taken_along_when_it_is_asked_for(
    svix: SvixDatabase, target: Settings
) -> None:
    moved(svix, target)
    asyncio.run(svix.run("UPDATE endpoint SET disabled = true, uid = NULL WHERE id = $1", PLAIN))
    asyncio.run(svix.run("UPDATE endpoint SET key = $2 WHERE id = $1", LEGACY, b"n" * 24))
    asyncio.run(svix.run("UPDATE application SET name = 'New' WHERE id = $1", APP))
    asyncio.run(svix.run("UPDATE eventtype SET deleted = true WHERE name = 'invoice.paid'"))
    assert moved(svix, target, updates=True) == Moved(2, 4, 2, (ORG,), 4, ())
    assert moved(svix, target) == Moved(2, 4, 2, (ORG,), 0, ())

    async def look(store: Store) -> None:
        legacy = await store.resources.get_endpoint(APP, LEGACY)
        assert legacy is not None
        assert legacy.secrets == (Secret(secret_text(b"n" * 24)),)

    within(target, look)


def test_what_only_has_the_same_id_is_not_updated(svix: SvixDatabase, target: Settings) -> None:
    own = Application(APP, ORG, "Ours", None, None, {}, 0, 0, 0)
    within(target, lambda store: store.resources.create_app(own))
    [problem] = moved(svix, target, updates=True).problems
    assert problem.startswith(f"{APP}: the target has something else")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda store: store.resources.delete_endpoint(APP, PLAIN, at_ms=NOW_MS), PLAIN),
        (lambda store: store.resources.delete_app(ORG, OTHER_APP, at_ms=NOW_MS), OTHER_APP),
        (lambda store: store.resources.create_endpoint(OWN, endpoints_max=9), LATER),
        (lambda store: store.resources.create_app(APP_OF_ANOTHER), "app_later"),
    ],
    ids=["deleted endpoint", "deleted application", "uid of an endpoint", "other organization"],
)
@pytest.mark.parametrize("updates", [False, True])
def test_an_id_or_uid_that_is_taken_is_named_before_anything_is_written(
    svix: SvixDatabase,
    target: Settings,
    spoil: Callable[[Store], Any],
    named: str,
    updates: bool,
) -> None:
    moved(svix, target)
    within(target, spoil)
    asyncio.run(add_later(svix))
    outcome = moved(svix, target, updates=updates)
    assert [problem.split(":")[0] for problem in outcome.problems] == [named]
    assert outcome.written == 0

    async def look(store: Store) -> None:
        assert await store.resources.get_app(ORG, "app_last") is None

    within(target, look)


async def add_later(svix: SvixDatabase) -> None:
    for app_id in ("app_last", "app_later"):
        await svix.add("application", id=app_id, name="Later", org_id=ORG, deleted=False)
    await svix.add(
        "endpoint",
        id=LATER,
        app_id=APP,
        url="https://shop.example/",
        uid="later",
        key=stored_key(KEY),
        disabled=False,
        description="",
        version=1,
        deleted=False,
    )


def test_another_database_is_no_svix(target: Settings) -> None:
    server = shared_server()
    url = server.create_database()
    with pytest.raises(SchemaMismatch, match="of a Svix server"):
        moved(SvixDatabase(url), target)
    with pytest.raises(StoreUnavailable, match="is the server running"):
        moved(SvixDatabase("postgresql://nobody@127.0.0.1:1/x"), target)
    with pytest.raises(ConfigError, match=r"--from-svix: .*no such database"):
        moved(SvixDatabase(server.url("nowhere")), target)
    server.drop_database(url)


def test_the_command_says_what_to_set(svix: SvixDatabase, tmp_path: Path) -> None:
    to = f"sqlite:///{tmp_path / 'ringback.db'}"
    file = tmp_path / "secret"
    file.write_text(f"{MAIN_SECRET}\n")
    given = ["--from-svix", svix.url, "--to", to, "--svix-main-secret-file", str(file)]
    said = CliRunner().invoke(command, given)
    assert said.exit_code == 0, said.output
    assert "2 applications, 4 endpoints and 2 event types of 1 organizations" in said.output
    assert "RINGBACK_HEADER_FAMILY=svix" in said.output
    said = CliRunner().invoke(command, [*given, "--update", "--set", "header_family=svix"])
    assert "0 of them written now" in said.output
    assert "HEADER_FAMILY" not in said.output
