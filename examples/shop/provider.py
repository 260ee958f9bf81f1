"""A payment provider: takes payments and tells each shop by webhook, through Ringback.

    POST /v1/webhook_endpoints   a shop says where to tell it, and gets the secret to verify with
    POST /v1/payments            a customer pays
    GET  /v1/events              what happened, newest first: for shops that would rather poll

All it needs of Ringback is the official `svix` package, unmodified.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from svix.api import (
    ApplicationIn,
    EndpointIn,
    EventTypeIn,
    MessageIn,
    SvixAsync,
    SvixOptions,
)

ACCOUNT = "the-shop"  # a provider with many shops has an application for each
PAID = "payment_intent.succeeded"

ringback = SvixAsync(
    os.environ["RINGBACK_TOKEN"], SvixOptions(server_url=os.environ["RINGBACK_URL"])
)
events: list[dict[str, Any]] = []


class Endpoint(EndpointIn):
    """The SDK's endpoint, and what only Ringback knows."""

    signature_scheme: str
    retry: dict[str, list[float]]


@asynccontextmanager
async def open_business(app: Starlette) -> AsyncIterator[None]:
    await ringback.event_type.create(EventTypeIn(name=PAID, description="A customer has paid."))
    await ringback.application.create(ApplicationIn(name="The Shop", uid=ACCOUNT))
    yield


async def webhook_endpoint(request: Request) -> Response:
    wish = Endpoint(
        url=(await request.json())["url"],
        event_types=[PAID],
        signature_scheme="stripe",
        retry={"schedule": [1, 2, 4]},  # seconds, for a short demo; left out: three days and more
    )
    endpoint = await ringback.endpoint.create(ACCOUNT, wish)
    secret = await ringback.endpoint.get_secret(ACCOUNT, endpoint.id)
    return JSONResponse({"id": endpoint.id, "secret": secret.key}, status_code=201)


async def payment(request: Request) -> Response:
    event = succeeded(**await request.json())
    told = await ringback.message.create(
        ACCOUNT, MessageIn(event_type=PAID, event_id=event["id"], payload=event)
    )
    events.insert(0, event)
    return JSONResponse({"event": event["id"], "message": told.id}, status_code=201)


def succeeded(*, order_id: str, amount: int, currency: str) -> dict[str, Any]:
    """The event as Stripe writes it. Amounts are in the smallest unit: 4200 is 42.00 EUR."""
    intent = {
        "id": f"pi_{token_hex(12)}",
        "object": "payment_intent",
        "amount": amount,
        "currency": currency,
        "status": "succeeded",
        "metadata": {"order_id": order_id},
    }
    return {
        "id": f"evt_{token_hex(12)}",
        "object": "event",
        "type": PAID,
        "created": int(time.time()),
        "data": {"object": intent},
    }


async def event_list(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": events})


app = Starlette(
    routes=[
        Route("/v1/webhook_endpoints", webhook_endpoint, methods=["POST"]),
        Route("/v1/payments", payment, methods=["POST"]),
        Route("/v1/events", event_list),
    ],
    lifespan=open_business,
)
