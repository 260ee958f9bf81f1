"""Calls every method that we serve with whatever `svix` this interpreter has, sync or async.

    python tour.py sync|async URL TOKEN RECEIVER_URL < deliveries.json

It knows nothing of Ringback: what it expects is what the SDK's own types and errors say. `v1` names
differ from those of later generations, see `OLD_NAMES`. Prints one JSON object: for each method
"ok", "501" for what we do not serve, "absent" when this version lacks it, or what went wrong.
"""

import asyncio
import importlib
import inspect
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

svix: Any = importlib.import_module("svix")
api: Any = importlib.import_module("svix.api")
models: Any = importlib.import_module("svix.models")
message_api: Any = importlib.import_module("svix.api.message")
webhooks: Any = importlib.import_module("svix.webhooks")
errors: Any = importlib.import_module("svix.exceptions")

IS_FIRST_GENERATION = svix.__version__.startswith("1.")
OLD_NAMES = {
    "application.upsert": "application.update",
    "endpoint.upsert": "endpoint.update",
    "endpoint.set_headers": "endpoint.update_headers",
    "event_type.upsert": "event_type.update",
}
WAIT_S_MAX = 20.0


class Tour:
    """The client under test, what it made so far, and what each method came to."""

    def __init__(self, client: Any, receiver_url: str, *, url: str, name: str) -> None:
        self.client = client
        self.url = url
        self.receiver_url = receiver_url
        self.uid = f"tour-{name}"
        self.event_type = f"tour.{name}.shipped"
        self.results: dict[str, str] = {}
        self.calling = ""
        self.endpoint_id = ""
        self.msg_id = ""
        self.task_id = ""

    async def call(self, name: str, *arguments: Any) -> Any:
        """Call a method by its newest name; its result, awaited if it has to be."""
        self.calling = name
        method = attrgetter(OLD_NAMES.get(name, name) if IS_FIRST_GENERATION else name)
        result = method(self.client)(*arguments)
        if inspect.isawaitable(result):
            result = await result
        self.results.setdefault(name, "ok")
        return result

    def has(self, name: str) -> bool:
        resource, _, method = name.partition(".")
        if not hasattr(getattr(self.client, resource), method):
            self.results[name] = "absent"
            return False
        return True

    async def fails(self, name: str, error: type[Exception], *arguments: Any) -> Any:
        """Call a method that must raise that error of the SDK; the error."""
        try:
            await self.call(name, *arguments)
        except error as raised:
            self.results.setdefault(name, "ok")
            return raised
        raise AssertionError(f"{name} did not raise {error.__name__}")

    async def stop(self, chapter: Callable[["Tour"], Awaitable[None]]) -> None:
        """Go through a chapter; when it breaks, the method called last is to blame."""
        try:
            await chapter(self)
        except Exception as error:
            self.results[self.calling] = f"{chapter.__name__}: {error!r}"
            traceback.print_exc(file=sys.stderr)


# ---- the chapters, in order ---------------------------------------------------------------------


async def applications(tour: Tour) -> None:
    await tour.call("health.get")
    body = api.ApplicationIn(name="Tour", uid=tour.uid, metadata={"plan": "gold"})
    made = await tour.call("application.create", body)
    again = await tour.call("application.get_or_create", body)
    assert again.id == made.id, again
    assert (await tour.call("application.get", tour.uid)).metadata == {"plan": "gold"}
    conflict = await tour.fails("application.create", errors.HttpError, body)
    assert (conflict.status_code, conflict.code) == (409, "conflict"), vars(conflict)
    listed = await tour.call("application.list", api.ApplicationListOptions(limit=250))
    assert made.id in [application.id for application in listed.data]
    patched = await tour.call("application.patch", tour.uid, models.ApplicationPatch(name="Toured"))
    assert (patched.name, patched.uid) == ("Toured", tour.uid), patched
    upserted = await tour.call("application.upsert", tour.uid, body)
    assert (upserted.id, upserted.name) == (made.id, "Tour"), upserted
    assert isinstance(upserted.created_at, datetime)


async def event_types(tour: Tour) -> None:
    schema = {"type": "object", "examples": [{"order": 7}]}
    body = api.EventTypeIn(name=tour.event_type, description="It left", schemas={"1": schema})
    made = await tour.call("event_type.create", body)
    assert (made.name, made.deprecated) == (tour.event_type, False), made
    assert (await tour.call("event_type.get", tour.event_type)).schemas == {"1": schema}
    again = await tour.fails("event_type.create", errors.HttpError, body)
    assert again.code == "event_type_exists", vars(again)
    listed = await tour.call(
        "event_type.list", api.EventTypeListOptions(limit=250, with_content=True)
    )
    [found] = [each for each in listed.data if each.name == tour.event_type]
    assert found.schemas == {"1": schema}, found
    patch = models.EventTypePatch(description="It is gone")
    patched = await tour.call("event_type.patch", tour.event_type, patch)
    assert (patched.description, patched.schemas) == ("It is gone", {"1": schema}), patched
    shape = models.EventTypeUpdate if IS_FIRST_GENERATION else models.EventTypeUpsertIn
    upsert = shape(description="It left again", schemas={"1": schema})
    upserted = await tour.call("event_type.upsert", tour.event_type, upsert)
    assert upserted.description == "It left again", upserted


async def endpoints(tour: Tour) -> None:
    names = {"filter_types" if IS_FIRST_GENERATION else "event_types": [tour.event_type]}
    body = api.EndpointIn(url=tour.receiver_url, uid="shop", channels=None, **names)
    made = await tour.call("endpoint.create", tour.uid, body)
    tour.endpoint_id = made.id
    assert filter_of(made) == [tour.event_type], made
    found = await tour.call("endpoint.get", tour.uid, "shop")
    assert (found.id, found.url, found.disabled) == (made.id, tour.receiver_url, False), found
    listed = await tour.call("endpoint.list", tour.uid)
    assert ([each.id for each in listed.data], listed.done) == ([made.id], True), listed
    patch = models.EndpointPatch(description="patched")
    patched = await tour.call("endpoint.patch", tour.uid, made.id, patch)
    assert (patched.description, filter_of(patched)) == ("patched", [tour.event_type]), patched
    shape = models.EndpointUpdate if IS_FIRST_GENERATION else models.EndpointUpsertIn
    upsert = shape(url=tour.receiver_url, uid="shop", **names)
    upserted = await tour.call("endpoint.upsert", tour.uid, made.id, upsert)
    assert (upserted.id, upserted.description) == (made.id, ""), upserted
    bad = api.EndpointIn(url="ftp://nowhere.example/")
    refused = await tour.fails("endpoint.create", errors.HTTPValidationError, tour.uid, bad)
    assert refused.detail[0].loc == ["body", "url"], vars(refused)


def filter_of(endpoint: Any) -> Any:
    return endpoint.filter_types if IS_FIRST_GENERATION else endpoint.event_types


async def endpoint_extras(tour: Tour) -> None:
    place = (tour.uid, tour.endpoint_id)
    await tour.call("endpoint.set_headers", *place, models.EndpointHeadersIn(headers={"X-A": "1"}))
    patch = models.EndpointHeadersPatchIn(headers={"Authorization": "Bearer x"})
    await tour.call("endpoint.patch_headers", *place, patch)
    headers = await tour.call("endpoint.get_headers", *place)
    assert (headers.headers, headers.sensitive) == ({"X-A": "1"}, ["Authorization"]), headers
    first = (await tour.call("endpoint.get_secret", *place)).key
    rotated = await tour.call("endpoint.rotate_secret", *place, models.EndpointSecretRotateIn())
    second = (await tour.call("endpoint.get_secret", *place)).key
    assert first != second
    assert second.startswith("whsec_"), second
    assert rotated is None or rotated.key == second, rotated
    stats = await tour.call("endpoint.get_stats", *place)
    assert (stats.success, stats.fail) == (0, 0), stats
    if tour.has("endpoint.get_attempt_stats"):
        assert (await tour.call("endpoint.get_attempt_stats", *place)).success == 0
    example = models.EventExampleIn(event_type=tour.event_type)
    sent = await tour.call("endpoint.send_example", *place, example)
    assert sent.payload == {"order": 7}, sent


async def messages(tour: Tour) -> None:
    channels = ["orders"]
    precheck = models.MessagePrecheckIn(event_type=tour.event_type)
    assert (await tour.call("message.precheck", tour.uid, precheck)).active is True
    body = api.MessageIn(
        event_type=tour.event_type, event_id="order-7", payload={"id": 7}, channels=channels
    )
    made = await tour.call("message.create", tour.uid, body)
    tour.msg_id = made.id
    assert (made.event_id, made.channels) == ("order-7", channels), made
    again = await tour.fails("message.create", errors.HttpError, tour.uid, body)
    assert again.status_code == 409, vars(again)
    raw = message_api.message_in_raw(tour.event_type, "<raw/>", "text/xml")
    await tour.call("message.create", tour.uid, raw)
    options = api.MessageGetOptions(with_content=True)
    whole = await tour.call("message.get", tour.uid, "order-7", options)
    assert (whole.id, whole.payload) == (made.id, {"id": 7}), whole
    bare = await tour.call(
        "message.get", tour.uid, made.id, api.MessageGetOptions(with_content=False)
    )
    assert bare.payload == {}, bare
    listed = await tour.call("message.list", tour.uid, api.MessageListOptions(channel="orders"))
    assert [each.id for each in listed.data] == [made.id], listed


async def attempts(tour: Tour) -> None:
    attempt = await delivered(tour)
    assert (attempt.msg_id, attempt.endpoint_id) == (tour.msg_id, tour.endpoint_id), attempt
    assert (int(attempt.status), attempt.response_status_code) == (0, 200), attempt
    found = await tour.call("message_attempt.get", tour.uid, tour.msg_id, attempt.id)
    assert (found.response, int(found.trigger_type)) == ("ok", 0), found
    listed = await tour.call("message_attempt.list_by_endpoint", tour.uid, tour.endpoint_id)
    assert attempt.id in [each.id for each in listed.data], listed
    tried = await tour.call("message_attempt.list_attempted_messages", tour.uid, tour.endpoint_id)
    [mine] = [each for each in tried.data if each.id == tour.msg_id]
    assert int(mine.status) == 0, mine
    places = await tour.call("message_attempt.list_attempted_destinations", tour.uid, tour.msg_id)
    assert [each.id for each in places.data] == [tour.endpoint_id], places
    await tour.call("message_attempt.resend", tour.uid, tour.msg_id, tour.endpoint_id)
    await delivered(tour, count=2)
    await tour.call("message_attempt.expunge_content", tour.uid, tour.msg_id, attempt.id)
    gone = await tour.call("message_attempt.get", tour.uid, tour.msg_id, attempt.id)
    assert gone.response == "EXPUNGED", gone


async def delivered(tour: Tour, count: int = 1) -> Any:
    """The oldest attempt of the message, when there are that many."""
    options = api.MessageAttemptListByMsgOptions(with_content=True)
    deadline = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline:
        listed = await tour.call("message_attempt.list_by_msg", tour.uid, tour.msg_id, options)
        if len(listed.data) >= count:
            return listed.data[-1]
        await asyncio.sleep(0.02)  # sleeps: an attempt is only seen by asking for it
    raise AssertionError(f"{tour.msg_id} has fewer than {count} attempts")


async def tasks(tour: Tour) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    body = models.RecoverIn(since=since)
    started = await tour.call("endpoint.recover", tour.uid, tour.endpoint_id, body)
    assert started.id.startswith("qtask_"), started
    found = await tour.call("background_task.get", started.id)
    assert found.id == started.id, found


async def portal(tour: Tour) -> None:
    access = await tour.call("authentication.app_portal_access", tour.uid, api.AppPortalAccessIn())
    guest = svix.Svix(access.token, svix.SvixOptions(server_url=tour.url))
    assert guest.application.get(tour.uid).uid == tour.uid
    try:
        guest.application.list()
    except errors.HttpError as error:
        assert error.status_code == 403, vars(error)  # noqa: PT017  there is no pytest here
    else:
        raise AssertionError("a token of one application listed all of them")


async def refusals(tour: Tour) -> None:
    """What we do not serve says so in a way that the SDK can read."""
    since = datetime.now(UTC) - timedelta(hours=1)
    place = (tour.uid, tour.endpoint_id)
    refused = (
        ("endpoint.replay_missing", *place, models.ReplayIn(since=since)),
        ("endpoint.bulk_replay", *place, models.BulkReplayIn(since=since)),
        ("background_task.list",),
        ("authentication.expire_all", tour.uid, models.ApplicationTokenExpireIn()),
        ("authentication.logout",),
    )
    for name, *arguments in refused:
        error = await tour.fails(name, errors.HttpError, *arguments)
        assert (error.status_code, error.code) == (501, "not_implemented"), vars(error)
        assert error.detail, name
        tour.results[name] = "501"


async def endings(tour: Tour) -> None:
    await tour.call("message.expunge_content", tour.uid, tour.msg_id)
    whole = api.MessageGetOptions(with_content=True)
    assert (await tour.call("message.get", tour.uid, tour.msg_id, whole)).payload == {
        "expired": True
    }
    await tour.call("endpoint.delete", tour.uid, tour.endpoint_id)
    gone = await tour.fails("endpoint.get", errors.HttpError, tour.uid, tour.endpoint_id)
    assert (gone.status_code, gone.code) == (404, "not_found"), vars(gone)
    expunge = api.EventTypeDeleteOptions(expunge=True)
    await tour.call("event_type.delete", tour.event_type, expunge)
    await tour.fails("event_type.get", errors.HttpError, tour.event_type)
    await tour.call("application.delete", tour.uid)
    await tour.fails("application.get", errors.HttpError, tour.uid)


def verified(delivery: dict[str, Any]) -> str:
    """Whether the SDK's own verifier takes a delivery, and refuses it when it was altered."""
    webhook = webhooks.Webhook(delivery["secret"])
    body = delivery["body"]
    try:
        webhook.verify(body, delivery["headers"])
    except Exception as error:
        return repr(error)
    try:
        webhook.verify(body + " ", delivery["headers"])
    except webhooks.WebhookVerificationError:
        return "ok"
    return "takes what was altered"


CHAPTERS = (
    applications,
    event_types,
    endpoints,
    endpoint_extras,
    messages,
    attempts,
    tasks,
    portal,
    endings,
    refusals,
)


async def main(kind: str, url: str, token: str, receiver_url: str) -> dict[str, str]:
    client_type = svix.Svix if kind == "sync" else svix.SvixAsync
    client = client_type(token, svix.SvixOptions(server_url=url, retry_schedule=[]))
    name = f"{svix.__version__}-{kind}".replace(".", "-")
    tour = Tour(client, receiver_url, url=url, name=name)
    for chapter in CHAPTERS:
        await tour.stop(chapter)
    return tour.results


if __name__ == "__main__":
    outcome = asyncio.run(main(*sys.argv[1:]))
    for each in json.load(sys.stdin):
        outcome[f"webhooks.verify ({each['family']}-*)"] = verified(each)
    print(json.dumps(outcome))
