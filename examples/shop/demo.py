"""A payment provider and a shop, and what can go wrong between them, in half a minute.

    python examples/shop/demo.py        (or: make demo)

Everything is real: `ringback serve`, the provider, the shop and a poller are processes of their own
and talk HTTP on free ports of 127.0.0.1. What is printed was measured. If anything is not as told,
the demo says so, shows the logs and exits with 1.
"""

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bill import bill
from payment import Payment
from stage import NotAsTold, Stage, until
from svix.api import MessageAttemptOut, RecoverIn, Svix, SvixOptions

ACCOUNT = "the-shop"
SCHEDULE_S = (1, 2, 4)  # what provider.py asked for; each wait may vary by a fifth
SHORTEST = 0.8
BETWEEN_CUSTOMERS_S = 0.4  # so that they do not all meet the poller at the same moment


class Story:
    """The chapters, in order. The first one fills in who is who."""

    _ringback: Svix
    _endpoint: str
    _secret: str

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._started_at = time.time()
        self._payments: list[Payment] = []

    def tell(self) -> None:
        self.everybody_gets_up()
        self.three_customers_pay()
        self.the_shop_is_down_for_a_moment()
        self.the_shop_is_down_for_too_long()
        self.the_same_event_comes_twice()
        self.the_bill()

    # ---- the chapters ---------------------------------------------------------------------------

    def everybody_gets_up(self) -> None:
        self._chapter("A payment provider, a shop, and Ringback between them")
        self._stage.start_ringback()
        self._ringback = Svix(self._stage.token, SvixOptions(server_url=self._stage.ringback_url))
        self._say(f"ringback serve   {self._stage.ringback_url}")
        self._stage.start_provider()
        self._say(f"the provider     {self._stage.provider_url}")
        hook = f"{self._stage.shop_url}/webhooks/stripe"
        endpoint = ask(f"{self._stage.provider_url}/v1/webhook_endpoints", {"url": hook})
        self._endpoint, self._secret = endpoint["id"], endpoint["secret"]
        self._stage.start_shop(self._secret)
        self._say(f"the shop         {self._stage.shop_url}")
        self._say("                 asks to be told at /webhooks/stripe, and gets a signing secret")
        self._stage.start_poller()
        self._say("a poller         asks the provider for news every second, to compare")

    def three_customers_pay(self) -> None:
        self._chapter("Three customers pay")
        for amount, currency in ((4_200, "eur"), (990, "usd"), (12_500, "gbp")):
            payment = self._pay(amount, currency)
            self._follow(payment)
            self._is_shipped(payment)
            check(len(payment.attempts) == 1, f"{payment} arrives at the first attempt")
            time.sleep(BETWEEN_CUSTOMERS_S)
        self._somebody_forges_a_payment()

    def the_shop_is_down_for_a_moment(self) -> None:
        self._chapter("The shop goes down for a moment")
        self._stage.stop_shop()
        self._say("the shop's process has ended")
        payment = self._pay(1_850, "eur")
        self._follow(payment, attempts=2)
        self._stage.start_shop(self._secret)
        self._say("the shop is back")
        self._follow(payment)
        self._is_shipped(payment)
        check(2 <= len(payment.attempts) - 1 <= 3, f"{payment} arrives with retry 2 or 3")
        self._waited_as_scheduled(payment)

    def the_shop_is_down_for_too_long(self) -> None:
        self._chapter("The shop is down for longer than the provider retries")
        self._stage.stop_shop()
        self._say("the shop's process has ended")
        payment = self._pay(7_700, "eur")
        tries = 1 + len(SCHEDULE_S)
        self._follow(payment, attempts=tries)
        self._waited_as_scheduled(payment)
        self._stage.start_shop(self._secret)
        check(not self._parcels(payment), f"{payment} has not shipped")
        self._say(f"the shop is back, but {payment.order} is lost: no attempt is left")
        self._recover(payment)

    def the_same_event_comes_twice(self) -> None:
        self._chapter("The provider sends the first event once more")
        payment = self._payments[0]
        self._ringback.message_attempt.resend(ACCOUNT, payment.message, self._endpoint)
        self._follow(payment, attempts=2)
        check(payment.is_delivered, "the shop takes it")
        check(self._parcels(payment)[0]["at"] == payment.shipped_at, "the parcel is the old one")
        self._say(f"the shop knows the event: {payment.order} has shipped once, not twice")

    def the_bill(self) -> None:
        self._chapter("What it took, measured")
        seen = until(self._all_polled, "the poller sees every event, too")
        for line in bill(self._payments, polled_at=seen, polls=len(self._stage.polls())):
            print(line, flush=True)
        shipped = [payment for payment in self._payments if self._parcels(payment)]
        check(shipped == self._payments, "every order that was paid has shipped")
        print(
            f"\n  {len(shipped)} paid, {len(shipped)} shipped: none lost, none twice.", flush=True
        )

    # ---- what happens in them -------------------------------------------------------------------

    def _pay(self, amount: int, currency: str) -> Payment:
        order, paid_at = f"order-{1001 + len(self._payments)}", time.time()
        paid = {"order_id": order, "amount": amount, "currency": currency}
        answer = ask(f"{self._stage.provider_url}/v1/payments", paid)
        payment = Payment(order, amount, currency, paid_at, answer["event"], answer["message"])
        self._payments.append(payment)
        self._say(f"{payment} is paid")
        return payment

    def _follow(self, payment: Payment, *, attempts: int = 0) -> None:
        """Tells of each attempt as it is made, up to so many, or to the one that arrives."""

        def look() -> bool:
            page = self._ringback.message_attempt.list_by_msg(ACCOUNT, payment.message)
            for attempt in page.data[::-1][len(payment.attempts) :]:
                self._tell_attempt(payment, attempt)
            return len(payment.attempts) >= attempts if attempts else payment.is_delivered

        until(look, f"attempts to tell the shop of {payment}")

    def _tell_attempt(self, payment: Payment, attempt: MessageAttemptOut) -> None:
        waited = ""
        if payment.attempts:
            waited_s = (attempt.timestamp - payment.attempts[-1].timestamp).total_seconds()
            waited = f", {waited_s:.1f} s later"
        payment.attempts.append(attempt)
        status = attempt.response_status_code
        answer = f"✓ HTTP {status}" if attempt.status == 0 else f"✗ {status or 'nobody answers'}"
        self._say(f"    attempt {len(payment.attempts)}{waited}: {answer}")

    def _is_shipped(self, payment: Payment) -> None:
        # The shop acknowledges what it has kept, and ships a moment later.
        (parcel,) = until(lambda: self._parcels(payment), f"{payment} ships")
        told = {key: parcel[key] for key in ("order", "amount", "currency")}
        paid = {key: getattr(payment, key) for key in ("order", "amount", "currency")}
        check(told == paid, f"the shop was told what was paid: {told} is {paid}")
        payment.shipped_at = parcel["at"]
        took_s = payment.shipped_at - payment.paid_at
        self._say(f"    shipped {took_s:.3f} s after it was paid")

    def _parcels(self, payment: Payment) -> list[dict[str, Any]]:
        parcels: list[dict[str, Any]] = ask(f"{self._stage.shop_url}/orders/{payment.order}")[
            "shipped"
        ]
        check(len(parcels) <= 1, f"{payment} ships once at most")
        return parcels

    def _somebody_forges_a_payment(self) -> None:
        forged = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"}
        try:
            ask(f"{self._stage.shop_url}/webhooks/stripe", forged)
        except HTTPError as refusal:
            check(refusal.code == 401, f"the shop refuses a forged event with 401: {refusal.code}")
            self._say("somebody posts a forged event: the shop answers 401, it is not signed")
        else:
            raise NotAsTold("the shop took a forged event")

    def _waited_as_scheduled(self, payment: Payment) -> None:
        for wait_s, one, following in zip(
            SCHEDULE_S, payment.attempts, payment.attempts[1:], strict=False
        ):
            waited_s = (following.timestamp - one.timestamp).total_seconds()
            check(waited_s > SHORTEST * wait_s - 0.01, f"{waited_s} s is no wait of {wait_s} s")

    def _recover(self, lost: Payment) -> None:
        since = datetime.fromtimestamp(self._started_at, UTC)
        self._ringback.endpoint.recover(ACCOUNT, self._endpoint, RecoverIn(since=since))
        self._say(f"the provider recovers whatever the shop has missed since {since:%H:%M:%S} UTC")
        self._follow(lost)
        self._is_shipped(lost)
        for payment in self._payments:
            told = self._ringback.message_attempt.list_by_msg(ACCOUNT, payment.message)
            check(len(told.data) == len(payment.attempts), f"{payment} is not sent again")

    def _all_polled(self) -> dict[str, float]:
        """When the poller saw each event, once it has seen them all."""
        polls = [json.loads(line) for line in self._stage.polls()]
        seen = {event: poll["at"] for poll in polls for event in poll["new"]}
        return seen if len(seen) == len(self._payments) else {}

    # ---- how it is told -------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        print(f"{time.time() - self._started_at:6.1f} s   {text}", flush=True)

    def _chapter(self, title: str) -> None:
        print(f"\n{bold(title)}", flush=True)


def check(is_so: bool, told: str) -> None:
    if not is_so:
        raise NotAsTold(told)


def ask(url: str, body: object = None) -> Any:
    """GET, or POST with a body; the answer's JSON."""
    content = None if body is None else json.dumps(body).encode()
    request = Request(url, content, {"content-type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def bold(text: str) -> str:
    is_plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if is_plain else f"\033[1m{text}\033[0m"


def main() -> int:
    os.environ["NO_PROXY"] = "127.0.0.1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the demo was told to stop"))
    with TemporaryDirectory(prefix="ringback-demo-") as place, Stage(Path(place)) as stage:
        try:
            Story(stage).tell()
        except NotAsTold as broken:
            print(f"\nNot as told: {broken}\n{stage.logs()}", file=sys.stderr)
            return 1
        except Exception:
            print(stage.logs(), file=sys.stderr)
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
