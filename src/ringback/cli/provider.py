"""The options of commands that play a provider or a receiver: `--provider`, `--secret`, `--url`."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from ringback.sign.providers import names, scheme

Body = Callable[..., None]


def with_provider(*, is_pair: bool) -> Callable[[Body], Body]:
    """The command gets them as `provider` and `secrets`; a pair comes together or not at all."""

    def decorate(body: Body) -> Body:
        @click.option(
            "--secret",
            "secrets",
            metavar="TEXT|@FILE",
            multiple=True,
            help="What the provider signs with; @FILE keeps it out of the list of processes.",
        )
        @click.option(
            "--provider",
            metavar="NAME",
            help="As in docs/providers.md: stripe, github, slack, standard, …",
        )
        @wraps(body)
        def wrapped(*, provider: str | None, secrets: tuple[str, ...], **rest: object) -> None:
            if provider is not None and provider not in names():
                known = ", ".join(names())
                raise click.UsageError(f"there is no provider {provider!r}; there are {known}")
            if is_pair and not _is_pair(provider, secrets):
                raise click.UsageError("give --provider and --secret together, or neither")
            body(provider=provider, secrets=tuple(map(text_of, secrets)), **rest)

        return wrapped

    return decorate


def _is_pair(provider: str | None, secrets: tuple[str, ...]) -> bool:
    """Without a secret, a provider is alone that hands it over in its handshake."""
    if provider is None:
        return not secrets
    return bool(secrets) or scheme(provider).gives_secret


def text_of(argument: str) -> str:
    """The text itself, or what the file behind a @ holds, without the line break at its end."""
    if not argument.startswith("@"):
        return argument
    try:
        return Path(argument[1:]).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise click.UsageError(f"cannot read {argument[1:]}: {reason}") from None
