"""Webhooks in aiohttp:  python -m aiohttp.web -P 8000 aiohttp_app:make_app"""

import os

from aiohttp import web
from orders import inbox

from ringback.receive import VerifiedEvent
from ringback.receive.aiohttp import webhook

# Kept in the inbox, and processed there.
stripe = webhook("stripe", secrets=os.environ["STRIPE_WEBHOOK_SECRET"], inbox=inbox)


# Or given to a function.
@webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])
async def slack(request: web.Request, event: VerifiedEvent) -> web.Response:
    return web.json_response({"text": f"got {event.type}"})


def make_app(argv: list[str]) -> web.Application:
    app = web.Application()
    app.add_routes([web.post("/webhooks/stripe", stripe), web.post("/webhooks/slack", slack)])
    app.cleanup_ctx.append(lambda app: inbox.running())
    return app
