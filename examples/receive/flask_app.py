"""Webhooks in Flask:  flask --app flask_app run, and python orders.py beside it"""

import os

from flask import Flask
from orders import connect, inbox

from ringback.receive import VerifiedEvent
from ringback.receive.flask import webhook

app = Flask(__name__)

# Kept in the inbox, and processed by the worker.
SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
stripe = webhook("stripe", secrets=SECRET, inbox=inbox, connect=connect)
app.add_url_rule("/webhooks/stripe", view_func=stripe, methods=["POST"])


# Or given to a function.
@app.post("/webhooks/slack")
@webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])
def slack(event: VerifiedEvent) -> dict[str, str]:
    return {"text": f"got {event.type}"}
