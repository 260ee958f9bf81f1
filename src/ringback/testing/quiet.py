"""A log that keeps what matters to a test and prints nothing.

log = QuietLog()
async with running(settings, log=log): …
assert log.errors == []
"""


class QuietLog:
    """Fits `telemetry.logging.Log`. `lines` are (level, event, facts), oldest first."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    @property
    def errors(self) -> list[tuple[str, str, dict[str, object]]]:
        """What nobody planned for."""
        return [line for line in self.lines if line[0] in {"error", "exception"}]

    def debug(self, event: str, /, **facts: object) -> None:
        self.lines.append(("debug", event, facts))

    def info(self, event: str, /, **facts: object) -> None:
        self.lines.append(("info", event, facts))

    def warning(self, event: str, /, **facts: object) -> None:
        self.lines.append(("warning", event, facts))

    def error(self, event: str, /, **facts: object) -> None:
        self.lines.append(("error", event, facts))

    def exception(self, event: str, /, **facts: object) -> None:
        self.lines.append(("exception", event, facts))
