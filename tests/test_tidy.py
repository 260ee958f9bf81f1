"""What a test can see of the house style. The rest is taste; `CONTRIBUTING.md` says which."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ringback
from ringback.cli.config import page
from ringback.cli.exits import Exit
from ringback.cli.group import COMMANDS
from ringback.config import Settings

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "ringback"
SOURCES = sorted(SRC.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PYTHON = [
    *SOURCES,
    *TESTS,
    *sorted(ROOT.glob("bench/**/*.py")),
    *sorted(ROOT.glob("examples/**/*.py")),
]
QUERIES = sorted(SRC.glob("store/*/queries/*.sql"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("docs/**/*.md"),
]

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
FILE_LINES_MAX = 500
LINE_CHARS_MAX = 100
SQL = re.compile(r"\b(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\b|DELETE FROM\s|CREATE TABLE\s)")
DIALS = {"socket", "open_connection", "create_connection", "create_server", "start_server"}
MAY_DIAL = ("wire/", "testing/", "cli/", "serve.py", "front.py")
# A test that must let real time pass says so on the line, with the reason.
MARKED_SLEEP = "# sleeps:"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_every_module_says_what_it_owns(path: Path) -> None:
    is_empty_package = path.name == "__init__.py" and not path.read_text().strip()
    assert is_empty_package or ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_files_and_lines_stay_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= FILE_LINES_MAX
    assert [line for line in lines if len(line) > LINE_CHARS_MAX] == []


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_names_are_words_of_the_domain(path: Path) -> None:
    assert path.stem.lower().strip("_") not in BANNED_NAMES
    assert path.parent.name.lower() not in BANNED_NAMES


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_no_work_is_left_in_comments(path: Path) -> None:
    left = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|XXX|HACK)\b")
    assert left.findall(path.read_text()) == []


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_sql_lives_in_the_store(path: Path) -> None:
    if path.is_relative_to(SRC / "store"):
        return
    found = [text for text in string_literals(path) if SQL.search(text)]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_only_some_rooms_touch_the_network(path: Path) -> None:
    inside = str(path.relative_to(SRC))
    if inside.startswith(MAY_DIAL):
        return
    used = {name for name in names_used(path) if name in DIALS}
    assert used == set()


@pytest.mark.parametrize("path", TESTS, ids=named)
def test_tests_wait_for_signals_and_not_for_luck(path: Path) -> None:
    lines = path.read_text().splitlines()
    slept = [
        lines[call.lineno - 1].strip()
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call) and is_real_sleep(call)
        if MARKED_SLEEP not in lines[call.lineno - 1]
    ]
    assert slept == []


@pytest.mark.parametrize("path", QUERIES, ids=named)
def test_every_query_says_what_it_is_for_and_is_used(path: Path) -> None:
    assert path.read_text().lstrip().startswith("--")
    room = path.parent.parent
    # Comparing words, not strings: a query may be named in a list or as an attribute.
    words = set(re.findall(r"\w+", " ".join(code.read_text() for code in room.rglob("*.py"))))
    assert path.stem in words


def test_the_settings_page_is_the_one_that_the_settings_make() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_says_what_it_is_in_a_line(name: str) -> None:
    row = next(line for line in page().splitlines() if line.startswith(f"| `{name}` "))
    about = row.split(" | ")[-1].removesuffix(" |")
    assert len(about) > 10


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_documented(name: str) -> None:
    assert f"## ringback {name}" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("code", list(Exit), ids=lambda code: str(code.value))
def test_every_exit_code_is_documented(code: Exit) -> None:
    assert f"| {code.value} |" in (ROOT / "docs" / "cli.md").read_text()


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{ringback.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]


@pytest.mark.parametrize("page_path", PAGES, ids=named)
def test_links_between_pages_lead_somewhere(page_path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page_path.read_text())
    missing = [link for link in links if not (page_path.parent / link).exists()]
    assert missing == []


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert all(number.isdigit() for number in numbers)
    assert len(numbers) == len(set(numbers))


def string_literals(path: Path) -> Iterator[str]:
    statements = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Expr)]
    documentation = {id(statement.value) for statement in statements}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            yield str(node.value)


def names_used(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "", *(alias.name for alias in node.names))
        elif isinstance(node, ast.Attribute):
            yield node.attr


def is_real_sleep(call: ast.Call) -> bool:
    """`time.sleep` always, `asyncio.sleep` unless it only gives way."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "sleep":
        return False
    owner = call.func.value
    if not isinstance(owner, ast.Name) or owner.id not in {"time", "asyncio"}:
        return False
    gives_way = (
        bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    )
    return owner.id == "time" or not gives_way
