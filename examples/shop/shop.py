"""A shop that ships what has been paid, as its payment provider's webhooks tell it.

    POST /webhooks/stripe   takes events
    GET  /orders/{id}       says what became of an order

Run it:  STRIPE_WEBHOOK_SECRET=whsec_… SHOP_DATABASE=shop.db uvicorn shop:app
"""

import os
import sqlite3
import time

import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]

books = sqlite3.connect(os.environ["SHOP_DATABASE"])
books.execute("CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY)")
books.execute(
    "CREATE TABLE IF NOT EXISTS shipped (order_id TEXT, amount INT, currency TEXT, at REAL)"
)


async def webhook(request: Request) -> Response:
    body, signature = await request.body(), request.headers.get("stripe-signature", "")
    try:
        event = stripe.Webhook.construct_event(body, signature, SECRET)
    except (ValueError, stripe.SignatureVerificationError):
        return Response("not from our payment provider", status_code=400)
    with books:  # One transaction: the event is remembered and the order ships, or neither.
        if is_new(event) and event.type == "payment_intent.succeeded":
            ship(event.data.object)
    return Response(status_code=204)


def is_new(event: stripe.Event) -> bool:
    """Events can come twice: the provider repeats what it saw no answer to."""
    return books.execute("INSERT OR IGNORE INTO event VALUES (?)", (event.id,)).rowcount == 1


def ship(payment: stripe.PaymentIntent) -> None:
    parcel = (payment.metadata["order_id"], payment.amount, payment.currency, time.time())
    books.execute("INSERT INTO shipped VALUES (?, ?, ?, ?)", parcel)


async def order(request: Request) -> Response:
    found = books.execute("SELECT * FROM shipped WHERE order_id = ?", (request.path_params["id"],))
    parcels = [dict(zip(("order", "amount", "currency", "at"), row, strict=True)) for row in found]
    return JSONResponse({"shipped": parcels})


app = Starlette(
    routes=[Route("/webhooks/stripe", webhook, methods=["POST"]), Route("/orders/{id}", order)]
)
