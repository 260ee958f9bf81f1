"""What one verification costs, beside the vendors' own packages: `python -m bench.verify`.

    schemes    every provider that signs with HMAC; headers as a mapping, and as ASGI has them
    packages   the vendor's own on the same request, and ours
    imports    in fresh processes, and with a first event verified

CPU time, the best of several rounds, so that a busy machine matters little; of imports the median.
The request has a dozen headers and a body of about 300 bytes, as a delivery has behind a proxy.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode

import slack_sdk.signature
import standardwebhooks
import stripe
import svix.webhooks
import twilio.request_validator  # type: ignore[import-untyped]
from msgspec import structs

from ringback.receive import Draft, Scheme, Signed, VerifiedEvent, providers, sign, verify
from ringback.sign.event import enveloped
from ringback.testing.provider_keys import key_pair

ROUNDS = 30
CALLS = 300
PROCESSES = 15
BUDGET_US = 15
URL = "https://shop.example/webhooks"
EVENT = {
    "object": "event",
    "data": {"object": {"id": "pi_1", "amount": 1999, "currency": "eur", "note": "x" * 170}},
}
FORM = urlencode({f"Field{number}": "value of a call" for number in range(12)}).encode()
NOW_S = int(time.time())
SCHEMES = {scheme.name: scheme for scheme in providers()}

FIRST_EVENT = """
from ringback.receive import Draft, sign, verify
made = sign("stripe", Draft(body=b"{}", timestamp_s=1), "whsec_x")
verify("stripe", made.headers, made.body, secrets="whsec_x", now_s=1)
"""
IMPORTS = {
    "import ringback.receive": "import ringback.receive",
    "… and a first event of Stripe's": FIRST_EVENT,
    "import standardwebhooks": "import standardwebhooks",
    "import stripe": "import stripe",
    "import svix.webhooks": "import svix.webhooks",
    "import twilio.request_validator": "import twilio.request_validator",
}


def main() -> None:
    print(f"{'µs a verification':34}{'mapping':>9}{'ASGI':>9}")
    for name, request, scheme in requests():
        costs = [ours(scheme, request, is_asgi=is_asgi) for is_asgi in (False, True)]
        over = " over the budget" if max(costs) > BUDGET_US else ""
        print(f"{name:34}{costs[0]:9.1f}{costs[1]:9.1f}{over}", flush=True)
    print(f"\n{'µs a verification':34}{'theirs':>9}{'ours':>9}")
    for name, request, theirs in packages():
        scheme = SCHEMES[name.partition(",")[0]]
        costs = [microseconds(theirs), ours(scheme, request, is_asgi=False)]
        print(f"{name:34}{costs[0]:9.1f}{costs[1]:9.1f}", flush=True)
    print(f"\n{'ms of CPU in a fresh process':34}")
    for name, program in IMPORTS.items():
        print(f"{name:34}{milliseconds(program):9.1f}", flush=True)


def requests() -> Iterator[tuple[str, Signed, Scheme]]:
    """Of each scheme that signs with HMAC."""
    for scheme in SCHEMES.values():
        if "HMAC" in scheme.signature:
            yield scheme.name, signed(scheme), scheme
    yield "twilio, a form of 12 fields", signed(SCHEMES["twilio"], FORM), SCHEMES["twilio"]


def signed(scheme: Scheme, body: bytes | None = None) -> Signed:
    draft = Draft(body=b"", timestamp_s=NOW_S, id="evt_1", type="order.paid", url=URL)
    body = enveloped(scheme, draft, EVENT) if body is None else body
    return sign(scheme, structs.replace(draft, body=body), key_pair(scheme, 1).signing)


def ours(scheme: Scheme, request: Signed, *, is_asgi: bool) -> float:
    fields = [*request.headers, *((f"x-proxy-{number}", "v" * 20) for number in range(10))]
    pairs = [(name.lower().encode(), text.encode()) for name, text in fields]
    headers = pairs if is_asgi else {name.decode(): text.decode() for name, text in pairs}
    secret = key_pair(scheme, 1).verifying

    def call() -> VerifiedEvent:
        return verify(
            scheme.name, headers, request.body, secrets=secret, now_s=NOW_S, url=request.url
        )

    return microseconds(call)


def packages() -> Iterator[tuple[str, Signed, Callable[[], object]]]:
    """What each does of what ours does differs: Slack's and Twilio's decode nothing."""
    for name, package in (("standard", standardwebhooks), ("svix", svix.webhooks)):
        request, secret = of(name)
        theirs = package.Webhook(secret)
        headers = dict(request.headers)
        yield name, request, lambda: theirs.verify(request.body, headers)  # noqa: B023
    request, secret = of("stripe")
    tag = dict(request.headers)["Stripe-Signature"]
    check = stripe.WebhookSignature.verify_header
    yield "stripe, its signature alone", request, lambda: check(request.body.decode(), tag, secret)
    event = stripe.Webhook.construct_event
    yield "stripe", request, lambda: event(request.body, tag, secret)
    yield from slack_and_twilio()


def slack_and_twilio() -> Iterator[tuple[str, Signed, Callable[[], object]]]:
    request, secret = of("slack")
    slack, headers = slack_sdk.signature.SignatureVerifier(secret), dict(request.headers)
    yield "slack", request, lambda: slack.is_valid_request(request.body, headers)
    form, token = signed(SCHEMES["twilio"], FORM), of("twilio")[1]
    validator = twilio.request_validator.RequestValidator(token)
    tag = next(text for name, text in form.headers if name.lower() == "x-twilio-signature")
    fields = dict(parse_qsl(FORM.decode()))
    yield (
        "twilio, a form of 12 fields",
        form,
        lambda: validator.validate(form.url, fields, tag),
    )


def of(name: str) -> tuple[Signed, str]:
    return signed(SCHEMES[name]), key_pair(SCHEMES[name], 1).verifying


def microseconds(call: Callable[[], object]) -> float:
    """The least CPU time of a call over the rounds. Raises if it refuses."""
    if call() is False:
        raise AssertionError("it does not accept the request")
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(CALLS):
            call()
        best = min(best, (time.thread_time() - started) / CALLS)
    return best * 1e6


def milliseconds(program: str) -> float:
    """The median of several processes, without the interpreter's own start."""
    timed = f"import time\nbegun = time.process_time()\n{program}\n"
    timed += "print((time.process_time() - begun) * 1e3)"
    command = [sys.executable, "-c", timed]
    taken = [subprocess.run(command, check=True, capture_output=True) for _ in range(PROCESSES)]
    return statistics.median(float(process.stdout) for process in taken)


if __name__ == "__main__":
    main()
