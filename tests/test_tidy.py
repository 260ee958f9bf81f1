"""What a test can see of the house style. The rest is taste; `CONTRIBUTING.md` says which."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import ringback
from ringback.cli.config import page
from ringback.cli.exits import Exit
from ringback.cli.group import COMMANDS
from ringback.config import Settings
from ringback.receive import catalogue

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
QUERIES = sorted(SRC.glob("**/queries/**/*.sql"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("docs/**/*.md"),
]

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
FILE_LINES_MAX = 500
LONG_FOR_A_REASON = {"src/ringback/api/routes.py"}  # one table of every operation
SQL = re.compile(r"\b(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\b|DELETE FROM\s|CREATE TABLE\s)")
LOGGED = re.compile(r"\blog\.(?:debug|info|warning|error|exception)\(\s*\"([^\"]+)\"")
DIALS = {"socket.socket", "open_connection", "create_connection", "create_server", "start_server"}
SLEEPS = {"time.sleep", "asyncio.sleep"}
MAY_DIAL = ("wire/", "testing/", "cli/", "serve.py", "front/", "workers/", "listen/", "torture/")
# A test that must let real time pass says so on the line, with the reason.
MARKED_SLEEP = "# sleeps:"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_every_module_says_what_it_owns() -> None:
    mute = [path for path in SOURCES if path.read_text().strip() and not docstring(path)]
    assert named(mute) == []


def test_files_stay_short() -> None:
    lengths = {path: path.read_text().count("\n") for path in PYTHON}
    long = [path for path, lines in lengths.items() if lines > FILE_LINES_MAX]
    assert [path for path in named(long) if path not in LONG_FOR_A_REASON] == []


def test_names_are_words_of_the_domain() -> None:
    banned = [path for path in PYTHON if BANNED_NAMES & {path.stem.lower(), path.parent.name}]
    assert named(banned) == []


def test_no_work_is_left_in_comments() -> None:
    # The marks are written so that this file does not find itself.
    left = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    assert named(path for path in PYTHON if left.search(path.read_text())) == []


def test_sql_lives_in_the_store() -> None:
    # The receiver kit is used without the store, so its inbox has queries too: as files alone.
    # What tests use plays the part of an app, which has tables of its own.
    rooms = (SRC / "store", SRC / "testing")
    outside = [path for path in SOURCES if not any(map(path.is_relative_to, rooms))]
    assert named(path for path in outside if any(map(SQL.search, string_literals(path)))) == []


def test_only_some_rooms_touch_the_network() -> None:
    others = [path for path in SOURCES if not str(path.relative_to(SRC)).startswith(MAY_DIAL)]
    assert named(path for path in others if DIALS & set(names_used(path))) == []


def test_tests_wait_for_signals_and_not_for_luck() -> None:
    slept = [f"{path.relative_to(ROOT)}:{line}" for path in TESTS for line in unmarked_sleeps(path)]
    assert slept == []


def test_every_query_says_what_it_is_for_and_is_used() -> None:
    assert QUERIES
    assert named(path for path in QUERIES if not path.read_text().lstrip().startswith("--")) == []
    for room in {room_of(path) for path in QUERIES}:
        # Words and not string literals: a query may be named in a table or by an attribute.
        words = set(re.findall(r"\w+", " ".join(code.read_text() for code in room.rglob("*.py"))))
        queries = [path for path in QUERIES if path.is_relative_to(room)]
        assert named(path for path in queries if path.stem not in words) == []


def test_the_settings_page_is_the_one_that_the_settings_make() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


def test_the_providers_page_is_the_one_that_the_schemes_make() -> None:
    assert (ROOT / "docs" / "providers.md").read_text() == catalogue.page(), "run `make docs`"


def test_every_setting_says_what_it_is_in_a_sentence() -> None:
    rows = [line.strip("| ").split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert [name.strip("`") for name, _, _ in rows] == list(Settings.__struct_fields__)
    assert [name for name, _, about in rows if len(about) < 10] == []


def test_every_command_and_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"\n## ringback {name}\n" not in text] == []
    assert [code for code in Exit if f"\n| {code.value} |" not in text] == []


def test_what_the_environment_can_ask_of_tests_is_written_down() -> None:
    named = {name for path in PYTHON for name in re.findall(r"RINGBACK_TEST_\w+", path.read_text())}
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert sorted(name for name in named if f"`{name}`" not in page) == []


def test_every_log_line_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    events = {event for path in SOURCES for event in LOGGED.findall(path.read_text())}
    assert len(events) > 10
    assert sorted(event for event in events if f"`{event}`" not in page) == []


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{ringback.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]


def test_links_between_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in PAGES
        for target in link.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert all(number.isdigit() for number in numbers)
    assert len(numbers) == len(set(numbers))


def named(paths: Iterable[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def room_of(query: Path) -> Path:
    """Where the code is that uses it: beside the directory `queries`."""
    return next(path.parent for path in query.parents if path.name == "queries")


def docstring(path: Path) -> str | None:
    return ast.get_docstring(parsed(path))


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
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield from (node.attr, ast.unparse(node))


def unmarked_sleeps(path: Path) -> Iterator[int]:
    """Lines that let real time pass without saying why: `# sleeps: the reason`."""
    lines = path.read_text().splitlines()
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in SLEEPS:
            continue
        if ast.unparse(node) != "asyncio.sleep(0)" and MARKED_SLEEP not in lines[node.lineno - 1]:
            yield node.lineno
