"""The query files of a transfer, and the marks that are filled into them.

/* table */, /* columns */, /* key */     names from `tables`, never from anywhere else
"""

from functools import cache
from importlib.resources import files


@cache
def query(name: str, *, table: str = "", columns: str = "", key: str = "") -> str:
    text = (files(__package__) / "queries" / f"{name}.sql").read_text()
    for mark, value in (("table", table), ("columns", columns), ("key", key)):
        text = text.replace(f"/* {mark} */", value)
    return text
