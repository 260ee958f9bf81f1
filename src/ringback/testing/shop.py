"""One application through the API, in the words of a test.

shop = await Shop.open(caller)
endpoint_id = await shop.endpoint(receiver.url())
msg_id = await shop.publish({"n": 1})
[first, second] = await shop.attempts(msg_id, 2)
"""

from pathlib import Path
from typing import Any, Final, Self

from msgspec.structs import replace

from ringback.config import Settings
from ringback.testing.caller import Answer, Caller
from ringback.testing.eventually import eventually
from ringback.testing.process import JWT_SECRET

EVENT_TYPE: Final = "order.paid"
BOTH: Final = ("sqlite", "postgres")  # stores that a story runs on


def loopback(database: Path | str, **changes: Any) -> Settings:
    """Settings of a service on a free loopback port that may deliver to loopback.

    `database` is the URL of one, or the path of a file.
    """
    usual = Settings(
        database=database if isinstance(database, str) else f"sqlite:///{database}",
        listen="127.0.0.1:0",
        jwt_secret=JWT_SECRET,
        egress_allow=("127.0.0.1/32", "::1/128"),
    )
    return replace(usual, **changes)


class Shop:
    """`path` is the application's path in the API."""

    def __init__(self, caller: Caller, app_id: str) -> None:
        self.caller = caller
        self.path = f"/app/{app_id}"

    @classmethod
    async def open(cls, caller: Caller, **fields: Any) -> Self:
        app = await caller.made("/app", {"name": "Shop", **fields})
        return cls(caller, app["id"])

    async def endpoint(self, url: str, **fields: Any) -> str:
        """The id of a new endpoint."""
        made = await self.caller.made(f"{self.path}/endpoint", {"url": url, **fields})
        return str(made["id"])

    def at(self, endpoint_id: str) -> str:
        """The endpoint's path in the API."""
        return f"{self.path}/endpoint/{endpoint_id}"

    async def change(self, endpoint_id: str, **fields: Any) -> Any:
        return await self.caller.changed(self.at(endpoint_id), fields)

    async def show(self, endpoint_id: str) -> Any:
        return (await self.caller.get(self.at(endpoint_id))).json

    async def publish(self, payload: object = None, **fields: Any) -> str:
        """The id of a message that was accepted."""
        body = {"eventType": EVENT_TYPE, "payload": payload or {}, **fields}
        message = await self.caller.made(f"{self.path}/msg?with_content=false", body)
        return str(message["id"])

    async def attempts(self, msg_id: str, count: int, endpoint_id: str = "") -> list[Any]:
        """Wait until that many were recorded; all of them, oldest first."""
        only = f"&endpoint_id={endpoint_id}" if endpoint_id else ""
        path = f"{self.path}/attempt/msg/{msg_id}?limit=250{only}"
        found = await eventually(
            lambda: self.caller.get(path),
            lambda answer: answer.status == 200 and len(answer.json["data"]) >= count,
        )
        return list(reversed(found.json["data"]))

    async def resend(self, msg_id: str, endpoint_id: str) -> Answer:
        return await self.caller.post(f"{self.path}/msg/{msg_id}/endpoint/{endpoint_id}/resend")

    async def waiting(self, endpoint_id: str) -> int:
        """How many deliveries of an endpoint wait in the database."""
        stats = await self.caller.get(f"{self.at(endpoint_id)}/stats")
        return int(stats.json["sending"])
