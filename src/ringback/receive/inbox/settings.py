"""What can be set of an inbox. Every number has its unit at the end of its name."""

from typing import Final

from msgspec import Struct

from ringback.errors import ConfigError

DAY_S: Final = 86_400
CONCURRENCY_MAX: Final = 256
ATTEMPTS_MAX: Final = 100


class InboxSettings(Struct, frozen=True, kw_only=True):
    """Raises ConfigError when a number makes no sense, or two do not fit together.

    concurrency           handlers at once in this process
    handler_timeout_s     how long a handler may take; then the attempt has failed
    lease_s               after this an event of a dead worker is somebody else's
    retry_schedule_s      the wait after each failed attempt; one attempt more than waits, then dead
    retry_jitter          the share by which a wait varies at random
    poll_s                how often the database is asked, besides at once after a receipt here
    drain_s               how long `running` waits at its end for handlers that are busy
    receive_timeout_s     what is not kept within this time is refused, and the provider retries
    body_bytes_max        larger bodies are refused; 25 MB is GitHub's limit, the largest known
    waiting_bytes_max     bodies in memory that wait for the database; more are refused
    sqlite_transaction_s  SQLite: how long a handler may keep others from writing
    kept_days             how long events are kept and recognized, after they were done
    dead_kept_days        how long dead events are kept, after their last attempt
    create_tables         make the tables if they are missing; else apply `ddl()` yourself
    """

    concurrency: int = 8
    handler_timeout_s: float = 30.0
    lease_s: float = 60.0
    retry_schedule_s: tuple[float, ...] = (1, 5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600)
    retry_jitter: float = 0.2
    poll_s: float = 1.0
    drain_s: float = 10.0
    receive_timeout_s: float = 1.0
    body_bytes_max: int = 25 * 1024 * 1024
    waiting_bytes_max: int = 64 * 1024 * 1024
    sqlite_transaction_s: float = 0.5
    kept_days: float = 30.0
    dead_kept_days: float = 90.0
    create_tables: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= CONCURRENCY_MAX:
            raise ConfigError(f"concurrency must be from 1 to {CONCURRENCY_MAX}")
        if len(self.retry_schedule_s) >= ATTEMPTS_MAX or any(s < 0 for s in self.retry_schedule_s):
            raise ConfigError(
                f"retry_schedule_s must be fewer than {ATTEMPTS_MAX} waits of 0 or more"
            )
        if not 0 <= self.retry_jitter < 1:
            raise ConfigError("retry_jitter must be at least 0 and below 1")
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0")
        if not self.lease_s > self.handler_timeout_s:
            raise ConfigError(
                "lease_s must exceed handler_timeout_s: else an event is given to a second worker"
                " while the first one may still be busy with it"
            )


_ABOVE_ZERO: Final = (
    "handler_timeout_s",
    "poll_s",
    "drain_s",
    "receive_timeout_s",
    "body_bytes_max",
    "waiting_bytes_max",
    "sqlite_transaction_s",
    "kept_days",
    "dead_kept_days",
)
