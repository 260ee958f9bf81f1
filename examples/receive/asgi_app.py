"""Webhooks in any ASGI framework, here Starlette:  uvicorn asgi_app:app"""

import os

from orders import inbox
from starlette.applications import Starlette
from starlette.routing import Route

from ringback.receive import VerifiedEvent
from ringback.receive.asgi import webhook

# Kept in the inbox, and processed there.
stripe = webhook("stripe", secrets=os.environ["STRIPE_WEBHOOK_SECRET"], inbox=inbox)


# Or given to a function.
@webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])
async def slack(event: VerifiedEvent) -> None:
    print("got", event.type)


app = Starlette(
    routes=[Route("/webhooks/stripe", stripe), Route("/webhooks/slack", slack)],
    lifespan=lambda app: inbox.running(),
)
