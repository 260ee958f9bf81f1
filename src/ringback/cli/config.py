"""`ringback config`: every setting, its value, where it comes from and what it does.

The same table, with defaults in place of values, is `docs/configuration.md`.
"""

import json
from typing import Final, get_type_hints

import click
from msgspec import Meta, Struct

from ringback.cli.options import Chosen, with_json, with_settings
from ringback.config import PREFIX, SECRETS, URLS, Settings, masked

PAGE_HEAD: Final = """\
# Configuration

This page is generated from the settings themselves (`make docs`).
`ringback config` shows the same list with the values that are in force and where each comes from.

A value comes from the first of these that has one:

1. a command-line flag: `--database`, `--listen`, or `--set name=value` for any setting;
2. the environment: `RINGBACK_<NAME>`;
3. a file named by the environment: `RINGBACK_<NAME>_FILE`, for secrets that are mounted;
4. the TOML file named by `--config` or `RINGBACK_CONFIG`;
5. the default.

Lists are separated by commas (`RINGBACK_RETRY_SCHEDULE=5,60,3600`), or are arrays in the TOML file.
A setting that is malformed or out of range stops the program with one line that names it.
So does a misspelt name on the command line or in the file.
A misspelt variable changes nothing: the log says so (`unknown_setting`), and `ringback doctor`.
Units come last in the names: `_s` seconds, `_h` hours, `_days`, `_bytes`; `_max` is a limit.
"""


class Row(Struct, frozen=True):
    """One setting. `text` is `value` for people; secrets and passwords are masked in both."""

    name: str
    value: object
    text: str
    source: str
    variable: str
    about: str


@click.command()
@with_settings
@with_json
@click.option("--markdown", is_flag=True, help="Print the documentation page, with the defaults.")
def command(*, chosen: Chosen, as_json: bool, markdown: bool) -> None:
    """Show every setting, its value and where it comes from. Secrets are not shown."""
    if markdown:
        click.echo(page(), nl=False)
        return
    found = rows(*chosen.load_with_sources())
    if as_json:
        click.echo(json.dumps([_plain(row) for row in found], indent=2))
        return
    for row in found:
        click.echo(f"{click.style(row.name, bold=True)} = {row.text}  ({row.source})")
        click.echo(f"    {row.about}")


def rows(settings: Settings, sources: dict[str, str]) -> list[Row]:
    """Every setting in the order of the source file."""
    return [
        Row(
            name=name,
            value=_value(name, getattr(settings, name)),
            text=_text(name, getattr(settings, name)),
            source=sources.get(name, "default"),
            variable=PREFIX + name.upper(),
            about=_about(hint),
        )
        for name, hint in get_type_hints(Settings, include_extras=True).items()
    ]


def page() -> str:
    """docs/configuration.md."""
    lines = [PAGE_HEAD, "| Setting | Default | What it is |", "|---|---|---|"]
    for row in rows(Settings(), {}):
        default = f"`{row.text}`" if row.text else "(empty)"
        lines.append(f"| `{row.name}` | {default} | {row.about.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _about(hint: object) -> str:
    """The first description in an annotation: that of `knob`."""
    metadata = getattr(hint, "__metadata__", ())
    return next(
        (meta.description for meta in metadata if isinstance(meta, Meta) and meta.description), ""
    )


def _value(name: str, value: object) -> object:
    """For JSON. A secret that is not set is null."""
    if name in SECRETS:
        return _text(name, value) or None
    return masked(str(value)) if name in URLS else value


def _text(name: str, value: object) -> str:
    if name in SECRETS:
        return "(set, not shown)" if value else ""
    if isinstance(value, tuple):
        return ",".join(_text(name, part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    return masked(str(value)) if name in URLS else str(value)


def _plain(row: Row) -> dict[str, object]:
    return {field: getattr(row, field) for field in row.__struct_fields__ if field != "text"}
