"""What one verification costs, beside the vendors' own packages: `python -m bench.verify`.

CPU time of this thread, the best of several rounds, so that a busy machine matters little. The
request has fourteen headers and a body of 300 bytes, as a delivery has behind a proxy.
"""

import json
import time
from collections.abc import Callable

import standardwebhooks
import stripe
import svix.webhooks

from ringback.receive import Draft, sign, verify

ROUNDS = 30
CALLS = 1_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HMAC_PROVIDERS = ("standard", "stripe", "github", "slack", "shopify", "square")
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "data": {"object": {"id": "pi_1", "amount": 1999, "currency": "eur", "note": "x" * 170}},
}
BODY = json.dumps(EVENT).encode()
NOW_S = int(time.time())


def microseconds(call: Callable[[], object]) -> float:
    """The least CPU time of a call over the rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(CALLS):
            call()
        best = min(best, (time.thread_time() - started) / CALLS)
    return best * 1e6


def ours(provider: str, *, is_asgi: bool) -> float:
    made = sign(provider, Draft(body=BODY, timestamp_s=NOW_S), SECRET)
    fields = [*made.headers, *((f"x-proxy-{number}", "v" * 20) for number in range(10))]
    pairs = [(name.lower().encode(), text.encode()) for name, text in fields]
    headers = pairs if is_asgi else {name.decode(): text.decode() for name, text in pairs}
    return microseconds(
        lambda: verify(provider, headers, made.body, secrets=SECRET, now_s=NOW_S, url=made.url)
    )


def vendors() -> dict[str, float]:
    """The packages parse JSON into plain values too; stripe's makes an object of its own."""
    standard = dict(sign("standard", Draft(body=BODY, timestamp_s=NOW_S), SECRET).headers)
    theirs = standardwebhooks.Webhook(SECRET)
    svix_s = svix.webhooks.Webhook(SECRET)
    header = dict(sign("stripe", Draft(body=BODY, timestamp_s=NOW_S), SECRET).headers)
    signature = header["Stripe-Signature"]
    return {
        "standardwebhooks": microseconds(lambda: theirs.verify(BODY, standard)),
        "svix": microseconds(lambda: svix_s.verify(BODY, standard)),
        "stripe, signature only": microseconds(
            lambda: stripe.WebhookSignature.verify_header(BODY.decode(), signature, SECRET, 300)
        ),
        "stripe": microseconds(lambda: stripe.Webhook.construct_event(BODY, signature, SECRET)),
    }


def main() -> None:
    print(f"{'µs a verification':28}{'mapping':>9}{'ASGI':>9}")
    for provider in HMAC_PROVIDERS:
        costs = (ours(provider, is_asgi=False), ours(provider, is_asgi=True))
        print(f"{provider:28}{costs[0]:9.1f}{costs[1]:9.1f}")
    for name, cost in vendors().items():
        print(f"{f'the package {name}':28}{cost:9.1f}")


if __name__ == "__main__":
    main()
