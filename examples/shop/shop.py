"""A shop that ships what has been paid, as its payment provider's webhooks tell it.

    POST /webhooks/stripe   takes events: verified, kept in the inbox, and then acknowledged
    GET  /orders/{id}       says what became of an order

Run it:  STRIPE_WEBHOOK_SECRET=whsec_… SHOP_DATABASE=shop.db uvicorn shop:app
"""

import os
import sqlite3
import time
from contextlib import closing
from typing import Any

from fastapi import FastAPI

from ringback.receive.fastapi import webhook
from ringback.receive.inbox import Inbox, InboxEvent, Transaction

DATABASE = os.environ["SHOP_DATABASE"]
SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]

with closing(sqlite3.connect(DATABASE)) as books:
    books.execute(
        "CREATE TABLE IF NOT EXISTS shipped (order_id TEXT, amount INT, currency TEXT, at REAL)"
    )

inbox = Inbox(f"sqlite:///{DATABASE}")
app = FastAPI(lifespan=lambda app: inbox.running())
take = webhook("stripe", secrets=SECRET, inbox=inbox)
app.add_api_route("/webhooks/stripe", take, methods=["POST"])


@inbox.on("stripe", "payment_intent.succeeded")
async def ship(event: InboxEvent, transaction: Transaction) -> None:
    """In one transaction: the order ships and the event is done, or neither."""
    payment = event.payload["data"]["object"]
    parcel = (payment["metadata"]["order_id"], payment["amount"], payment["currency"], time.time())
    await transaction.execute("INSERT INTO shipped VALUES (?, ?, ?, ?)", *parcel)


@app.get("/orders/{order_id}")
def order(order_id: str) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(DATABASE)) as books:
        found = books.execute("SELECT * FROM shipped WHERE order_id = ?", (order_id,)).fetchall()
    names = ("order", "amount", "currency", "at")
    return {"shipped": [dict(zip(names, row, strict=True)) for row in found]}
