"""The orders of a shop: what becomes of a payment, whichever framework took the webhook.

Frameworks with an event loop process their inbox themselves. For the others this is the worker:

    SHOP_DATABASE=shop.db python orders.py
"""

import asyncio
import os
import sqlite3
from contextlib import closing

from ringback.receive.inbox import Inbox, InboxEvent, Transaction

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
inbox = Inbox(f"sqlite:///{DATABASE}")


def connect() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE))


@inbox.on("stripe", "payment_intent.succeeded")
async def ship(event: InboxEvent, transaction: Transaction) -> None:
    order = event.payload["data"]["object"]["metadata"]["order_id"]
    await transaction.execute("CREATE TABLE IF NOT EXISTS shipped (order_id TEXT)")
    await transaction.execute("INSERT INTO shipped VALUES (?)", order)


async def work() -> None:
    async with inbox.running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work())
