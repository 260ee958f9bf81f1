"""What a shop without webhooks does: asks its payment provider every second whether there is news.

Prints one JSON line for every request it made: when the answer came, and the events that were new.
It runs through the whole demo beside the shop, so that the price of polling is measured.
"""

import json
import sys
import time
from urllib.request import urlopen

EVERY_S = 1.0


def poll(url: str) -> None:
    known: set[str] = set()
    while True:
        started_s = time.monotonic()
        with urlopen(url, timeout=10) as answer:
            events = [event["id"] for event in json.load(answer)["data"]]
        line = {"at": time.time(), "new": [event for event in events if event not in known]}
        print(json.dumps(line), flush=True)
        known.update(events)
        time.sleep(max(0.0, started_s + EVERY_S - time.monotonic()))


if __name__ == "__main__":
    poll(sys.argv[1])
