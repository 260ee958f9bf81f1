"""Webhooks in Django: its `urls.py`."""

import os

from django.http import HttpRequest, JsonResponse
from django.urls import path
from orders import inbox

from ringback.receive import VerifiedEvent
from ringback.receive.django import webhook

# Kept in the inbox, on Django's connection, and processed by the worker.
stripe = webhook("stripe", secrets=os.environ["STRIPE_WEBHOOK_SECRET"], inbox=inbox)


# Or given to a function, which may be async.
@webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])
async def slack(request: HttpRequest, event: VerifiedEvent) -> JsonResponse:
    return JsonResponse({"text": f"got {event.type}"})


urlpatterns = [path("webhooks/stripe", stripe), path("webhooks/slack", slack)]
