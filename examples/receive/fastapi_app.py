"""Webhooks in FastAPI:  uvicorn fastapi_app:app"""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from orders import inbox

from ringback.receive import VerifiedEvent
from ringback.receive.fastapi import webhook

app = FastAPI(lifespan=lambda app: inbox.running())

# Kept in the inbox, and processed there.
stripe = webhook("stripe", secrets=os.environ["STRIPE_WEBHOOK_SECRET"], inbox=inbox)
app.add_api_route("/webhooks/stripe", stripe, methods=["POST"])

# Or given to a function.
slack = webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])


@app.post("/webhooks/slack")
async def slack_event(event: Annotated[VerifiedEvent, Depends(slack)]) -> dict[str, str]:
    return {"text": f"got {event.type}"}
