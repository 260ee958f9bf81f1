"""The page about receiving: every example on it runs, as it is pasted.

Most run in a process of their own, in an empty directory, as a newcomer's would.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ringback.receive import Draft, Signed, VerifiedEvent, sign
from ringback.receive.webhook import Call, Webhook
from ringback.testing.process import unused_port
from ringback.testing.program import environment_of, listens, program, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "receive.md").read_text()
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
SECRET = "whsec_" + "5" * 32

UVICORN = ["-m", "uvicorn", "--log-level", "warning", "--port"]
WSGI = ["-m", "ringback.testing.wsgi_server"]
DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}
settings.configure(
    ROOT_URLCONF="urls",
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    DATABASES={"default": database},
)
app = get_wsgi_application()
"""
AIOHTTP = "from shop import app\nmake = lambda argv: app\n"


def blocks(heading: str = "") -> list[str]:
    """The Python of one section; without a name of what is before the first."""
    sections = re.split(r"^#{2,3} (.+)\n", PAGE, flags=re.MULTILINE)
    named = dict(zip(["", *sections[1::2]], sections[::2], strict=True))
    return BLOCK.findall(named[heading])


def running(place: Path, *command: str) -> AbstractContextManager[Path]:
    return program(*command, place=place, STRIPE_SECRET=SECRET)


def shipped(log: Path) -> int:
    """How often `pi_1` has shipped, as soon as it has."""
    return until(lambda: log.read_text().count("ship pi_1"))


def sent_to(place: Path, port: int) -> str:
    """What the page's own sender prints, when the server listens."""
    until(lambda: listens(port))
    (place / "send.py").write_text(blocks()[1].replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    return subprocess.run(
        [sys.executable, "send.py"],
        env=environment_of(STRIPE_SECRET=SECRET),
        cwd=place,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    ).stdout.strip()


def test_the_first_example_takes_ten_lines_and_ships_once(tmp_path: Path) -> None:
    shop = blocks()[0]
    assert shop in (ROOT / "README.md").read_text()
    assert len([line for line in shop.splitlines() if line]) <= 10
    (tmp_path / "shop.py").write_text(shop)
    port = unused_port()
    with running(tmp_path, *UVICORN, str(port), "shop:app") as log:
        assert [sent_to(tmp_path, port) for _ in range(3)] == ["200"] * 3
        assert shipped(log) == 1


def test_the_dependency_gives_the_event_to_a_function(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(blocks("FastAPI and Starlette")[0])
    port = unused_port()
    with running(tmp_path, *UVICORN, str(port), "shop:app") as log:
        assert sent_to(tmp_path, port) == "200"
        assert until(lambda: "payment_intent.succeeded" in log.read_text())


def test_the_other_frameworks_keep_the_event_for_the_worker(tmp_path: Path) -> None:
    """One database for all of them, and so one effect."""
    app, worker = blocks("Flask")
    files = {
        "worker.py": worker,
        "flask_shop.py": app,
        "wsgi_shop.py": blocks("Any WSGI server")[0],
        "urls.py": blocks("Django")[0],
        "django_shop.py": DJANGO,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with running(tmp_path, "worker.py") as log:
        until(lambda: any(map(has_tables, tmp_path.glob("shop.db*"))))
        for name in ("flask_shop", "wsgi_shop", "django_shop"):
            port = unused_port()
            with running(tmp_path, *WSGI, f"{name}:app", str(port)):
                assert sent_to(tmp_path, port) == "200"
        assert shipped(log) == 1


@pytest.mark.parametrize("heading", ["Any ASGI framework", "aiohttp"])
def test_the_other_asynchronous_frameworks_keep_the_event(heading: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(blocks(heading)[0])
    (tmp_path / "made.py").write_text(AIOHTTP)
    port = unused_port()
    command = [*UVICORN, str(port), "shop:app"]
    if heading == "aiohttp":
        command = ["-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(port), "made:make"]
    with running(tmp_path, *command):
        assert sent_to(tmp_path, port) == "200"


@pytest.mark.parametrize(
    ("provider", "headers", "body"),
    [
        ("asana", {"X-Hook-Secret": "b537207f"}, b""),
        ("notion", {}, b'{"verification_token":"b537207f"}'),
    ],
)
def test_a_provider_whose_secret_comes_with_the_handshake_is_set_up(
    provider: str, headers: dict[str, str], body: bytes, tmp_path: Path
) -> None:
    app = blocks("Asana and Notion")[0].replace("asana", provider).replace("ASANA", "THE")
    (tmp_path / "shop.py").write_text(app)
    made = sign(provider, Draft(body=b'{"events":[]}', timestamp_s=int(time.time())), "b537207f")
    hello, event = Signed("POST", "", (*headers.items(),), body), made
    path = f"/webhooks/{provider}"
    with serving(tmp_path) as (port, log):
        assert [posted(port, path, one) for one in (event, hello)] == [500, 200]
        assert until(lambda: "b537207f" in log.read_text())
    with serving(tmp_path, THE_SECRET="b537207f") as (port, _):
        assert posted(port, path, event) == 200


def test_verify_alone_is_enough() -> None:
    names: dict[str, Any] = {}
    exec(blocks("Without an adapter")[0], names)
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    answers = []
    for body in (b'{"type":"url_verification","challenge":"abc"}', b'{"type":"event_callback"}'):
        made = sign("slack", Draft(body=body, timestamp_s=int(time.time())), secret)
        answers.append(names["answer"]("POST", None, made.headers, made.body, secret))
        assert names["answer"]("POST", None, made.headers, made.body + b" ", secret)[0] == 401
    assert answers == [(200, b"abc"), (200, b"")]


def test_plaid_s_keys_are_fetched_with_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAID_CLIENT_ID", "me")
    monkeypatch.setenv("PLAID_SECRET", "mine")
    made = sign("plaid", Draft(body=b"{}", timestamp_s=int(time.time())), "production:1")
    asked: list[tuple[str, Any]] = []

    def urlopen(request: Any, *, timeout: float) -> BytesIO:
        asked.append((request.full_url, json.loads(request.data)))
        [document] = (made.documents[url] for url in made.documents if "production" in url)
        return BytesIO(document)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    names: dict[str, Any] = {}
    exec(blocks("Certificates")[0], names)
    hook = Webhook("plaid", secrets="production", fetch=names["fetch"])
    assert isinstance(hook.prove(Call("POST", "", made.headers, made.body)), VerifiedEvent)
    [(url, said)] = asked
    assert url == "https://production.plaid.com/webhook_verification_key/get"
    assert said == {"client_id": "me", "secret": "mine", "key_id": said["key_id"]}
    assert f"{url}#{said['key_id']}" in made.documents


def test_every_example_of_the_page_is_one_of_those() -> None:
    assert len(BLOCK.findall(PAGE)) == 12


@contextmanager
def serving(place: Path, **settings: str) -> Iterator[tuple[int, Path]]:
    """The port of `shop:app`, and its log."""
    port = unused_port()
    with program(*UVICORN, str(port), "shop:app", place=place, path=None, **settings) as log:
        until(lambda: listens(port))
        yield port, log


def posted(port: int, path: str, request: Signed) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, request.body, dict(request.headers))
        return connection.getresponse().status


def has_tables(part: Path) -> bool:
    """Of a database and its write-ahead log."""
    return b"ringback_inbox" in part.read_bytes()
