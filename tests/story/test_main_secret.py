"""A main secret that is wrong starts nothing; one secret that does not open stops one endpoint."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ringback.cli.exits import Exit
from ringback.model import Endpoint, Secret
from ringback.serve import Service, running
from ringback.sign.sealing import NONCE_BYTES, Sealer, owner
from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.nouns import SECRET
from ringback.testing.process import ServiceProcess, token
from ringback.testing.quiet import QuietLog
from ringback.testing.shop import Shop, loopback

MAIN = "m" * 32
OTHER = "o" * 32


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def close_secret(service: Service, endpoint_id: str, app_id: str) -> None:
    """As if another main secret had sealed it."""

    def change(endpoint: Endpoint) -> Endpoint:
        aad = owner(app_id, endpoint_id)
        sealed = Sealer(OTHER).seal(SECRET, aad=aad, nonce=bytes(NONCE_BYTES))
        return replace(endpoint, secrets=(Secret(sealed, None, "closed"),))

    await service.store.resources.update_endpoint(app_id, endpoint_id, change)
    service.engine.changed(app_id)


def test_only_the_endpoint_whose_secret_does_not_open_gets_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        settings = loopback(tmp_path / "ringback.db", main_secret=MAIN, retry_schedule=(0.05,))
        async with (
            Collector() as receiver,
            running(settings, log=QuietLog()) as service,
            Caller(service.url, token()) as caller,
        ):
            shop = await Shop.open(caller)
            sound = await shop.endpoint(receiver.url())
            broken = await shop.endpoint(receiver.url())
            await close_secret(service, broken, shop.path.removeprefix("/app/"))

            msg_id = await shop.publish()
            [delivered] = await shop.attempts(msg_id, 1, sound)
            refused = await shop.attempts(msg_id, 2, broken)
            assert delivered["statusText"] == "success"
            assert [each["statusText"] for each in refused] == ["fail", "fail"]
            assert all("another main_secret" in each["error"] for each in refused)

            listed = await caller.get(f"{shop.path}/endpoint")
            assert {each["id"] for each in listed.json["data"]} == {sound, broken}
            secret = await caller.get(f"{shop.at(broken)}/secret")
            assert (secret.status, secret.json["code"]) == (503, "unavailable")
            assert "start with that one" in secret.json["detail"]
            assert "sealed1" not in secret.body.decode()
            assert (await caller.get("/health")).status == 200

            await caller.post(f"{shop.at(broken)}/secret/rotate", {})
            msg_id = await shop.publish()
            [healed] = await shop.attempts(msg_id, 1, broken)
            assert healed["statusText"] == "success"

    run(story())


def test_the_service_does_not_start_with_another_main_secret(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path, RINGBACK_MAIN_SECRET=MAIN) as ours:
            await ours.start()
            async with Caller(ours.url, ours.token) as caller:
                await (await Shop.open(caller)).endpoint("http://127.0.0.1:8099/")
            assert await ours.terminate() == 0
        database = {"RINGBACK_DATABASE": f"sqlite:///{ours.database}"}
        other = tmp_path / "other"
        await asyncio.to_thread(other.mkdir)
        async with ServiceProcess(other, RINGBACK_MAIN_SECRET=OTHER, **database) as theirs:
            theirs.spawn()
            assert await theirs.ended() == Exit.USAGE
            [line] = theirs.stderr.splitlines()
            assert "sealed with another main_secret" in line
            assert "start with that one" in line

    run(story())
