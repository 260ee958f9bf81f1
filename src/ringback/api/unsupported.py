"""Paths of the Svix API that are not served: 501 with what to do instead, not a bare 404."""

import re
from typing import Final

_V1: Final = r"/api/v1"
_APP: Final = _V1 + r"/app/[^/]+"
_ENDPOINT: Final = _APP + r"/endpoint/[^/]+"

_RECOVER: Final = "POST …/endpoint/{endpoint_id}/recover sends again what failed for good."

UNSUPPORTED: Final = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (
            _V1 + r"/auth/app/[^/]+/expire-all",
            "Tokens cannot be taken back; ask for a short `expiry`.",
        ),
        (_V1 + r"/(auth/)?stream.*", "There are no streams; send messages to endpoints."),
        (_ENDPOINT + r"/transformation", "There are no transformations; shape the payload first."),
        (_ENDPOINT + r"/(replay-missing|bulk-replay)", _RECOVER),
        (_APP + r"/integration.*", "There are no integrations; make an application token instead."),
        (_APP + r"/msg/(bulk-expunge|expunge-all-contents)", "Expunge messages one by one."),
        (_APP + r"/(poller|destination|autoconfig).*", "Only HTTP endpoints are delivered to."),
        (_V1 + r"/connector.*", "There are no connectors; create endpoints."),
        (_V1 + r"/event-type/import/.*", "Create event types one by one."),
        (_V1 + r"/environment/.*", "Copy the database, or create event types by the API."),
        (_V1 + r"/stats/.*", "GET …/endpoint/{endpoint_id}/stats counts attempts."),
        (_V1 + r"/background-task", "Get a task by its id: GET /api/v1/background-task/{task_id}."),
        (_V1 + r"/operational-webhook/.*", "Ask for the state of endpoints by the API."),
        (r"/ingest/.*", "There is no ingest; receive webhooks in your own application."),
    )
)


def instead_of(path: str) -> str | None:
    """What to do instead of calling this path; None when Svix has no such path either."""
    return next((words for pattern, words in UNSUPPORTED if pattern.fullmatch(path)), None)
