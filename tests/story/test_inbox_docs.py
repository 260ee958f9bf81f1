"""The page about the inbox: its examples are Python, and its first one does what it says."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringback.receive import Listed
from ringback.receive.inbox import State
from ringback.testing.inbox import all_in, an_event

PAGE = Path(__file__).parents[2] / "docs" / "inbox.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"Connection": sqlite3.Connection, "Listed": Listed}
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec", dont_inherit=True), names)
    with closing(sqlite3.connect("shop.db")) as shop, shop:
        shop.execute("CREATE TABLE orders (id TEXT, is_paid INTEGER)")
        shop.execute("INSERT INTO orders VALUES ('o1', 0)")
    asyncio.run(story(names))
    with closing(sqlite3.connect("shop.db")) as shop:
        assert shop.execute("SELECT * FROM orders").fetchall() == [("o1", 1)]
        names["view"](names["inbox"], an_event("evt_2"), shop)
    with closing(sqlite3.connect("shop.db")) as shop:
        kept = shop.execute("SELECT count(*) FROM ringback_inbox WHERE dedupe_id = 'evt_2'")
        assert kept.fetchone() == (1,)


async def story(names: dict[str, Any]) -> None:
    inbox = names["inbox"]
    main = asyncio.create_task(names["main"]())
    intent = {"object": {"metadata": {"order": "o1"}}}
    event = an_event("evt_1", "payment_intent.succeeded", data=intent)
    assert await names["webhook"](event) == 204
    await all_in(inbox, State.DONE, 1)
    await names["look_after"](inbox)
    main.cancel()
    await asyncio.wait({main})
