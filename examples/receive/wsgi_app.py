"""Webhooks for any WSGI server:  python wsgi_app.py 8000, and python orders.py beside it"""

import os
import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import make_server

from orders import connect, inbox

from ringback.receive import VerifiedEvent
from ringback.receive.wsgi import webhook

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
stripe = webhook("stripe", secrets=SECRET, inbox=inbox, connect=connect)


@webhook("slack", secrets=os.environ["SLACK_SIGNING_SECRET"])
def slack(event: VerifiedEvent) -> None:
    print("got", event.type)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return (slack if environ["PATH_INFO"] == "/webhooks/slack" else stripe)(environ, start_response)


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
