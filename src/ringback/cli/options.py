"""The options that several commands share, and the settings that come of them."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from ringback.config import Settings, load_with_sources

Body = Callable[..., None]


class Chosen(Struct, frozen=True):
    """What the command line says about settings; `load` adds the other sources."""

    flags: Mapping[str, object]
    file: Path | None

    def load(self) -> Settings:
        """Raises ConfigError."""
        return self.load_with_sources()[0]

    def load_with_sources(self) -> tuple[Settings, dict[str, str]]:
        """And where each setting that is not a default comes from. Raises ConfigError."""
        return load_with_sources(self.flags, file=self.file)

    def with_flags(self, **flags: object) -> "Chosen":
        """And these, where they are not None."""
        said = {name: value for name, value in flags.items() if value is not None}
        return msgspec.structs.replace(self, flags={**self.flags, **said})

    def arguments(self) -> list[str]:
        """A command line that says the same."""
        file = [] if self.file is None else ["--config", str(self.file)]
        return [*file, *(f"--set={name}={value}" for name, value in self.flags.items())]

    def load_over(self, defaults: Mapping[str, object]) -> Settings:
        """With other defaults: they apply where no source says anything. Raises ConfigError."""
        settings, sources = self.load_with_sources()
        unsaid = {name: value for name, value in defaults.items() if name not in sources}
        return msgspec.structs.replace(settings, **unsaid)


def with_settings(body: Body) -> Body:
    """`--config`, `--set`, `--database`, `--listen`; the command gets them as `chosen`."""

    @click.option(
        "--listen", metavar="HOST:PORT", help="Where the server listens (port 0: any free one)."
    )
    @click.option(
        "--database", metavar="URL", help="sqlite:///relative.db or sqlite:////absolute.db."
    )
    @click.option(
        "--set",
        "assignments",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any setting of `ringback config`; may be repeated.",
    )
    @click.option(
        "--config",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A TOML file with settings.",
    )
    @wraps(body)
    def wrapped(
        *,
        file: Path | None,
        assignments: tuple[str, ...],
        database: str | None,
        listen: str | None,
        **rest: object,
    ) -> None:
        named = {"database": database, "listen": listen}
        flags = dict(map(_assignment, assignments))
        flags |= {name: value for name, value in named.items() if value is not None}
        body(chosen=Chosen(flags=flags, file=file), **rest)

    return wrapped


def with_json(body: Body) -> Body:
    """`--json`; the command gets it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")(body)


def _assignment(text: str) -> tuple[str, str]:
    name, is_assigned, value = text.partition("=")
    if not is_assigned:
        raise click.UsageError(f"--set takes NAME=VALUE, for example log_level=debug, not {text!r}")
    return name.strip().lower().replace("-", "_"), value
