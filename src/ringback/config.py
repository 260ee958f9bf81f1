"""Settings: every knob and every limit, each with its unit last and a sentence on it.

A value comes from, in this order: a command-line flag, `RINGBACK_<NAME>` in the environment,
`RINGBACK_<NAME>_FILE` (a file that holds it, for secrets), the TOML file named by `--config` or
`RINGBACK_CONFIG`, the default. `ringback config` prints them all with their source.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from ringback.errors import ConfigError

PREFIX: Final = "RINGBACK_"
SECRETS: Final = frozenset({"jwt_secret", "main_secret"})
URLS: Final = frozenset({"database", "proxy"})  # may hold a password: shown by `masked` only
HMAC_BYTES_MIN: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # RFC 7518, section 3.2
# Variables that are ours and not settings, and what Kubernetes sets for a service named ringback.
_OTHER_VARIABLES: Final = re.compile(
    r"RINGBACK_(CONFIG|URL|TOKEN|TEST_.*|SERVICE_(HOST|PORT).*|PORT(_[0-9]+_.*)?)"
)
_PASSWORD_FIELD: Final = re.compile(r"(password=)[^&\s]*", re.IGNORECASE)

# No number is without an upper bound: what no clock, column or machine holds is refused at start.
Count = Annotated[int, Meta(gt=0, le=10_000_000)]
Rows = Annotated[int, Meta(gt=0, le=10_000)]
Parallel = Annotated[int, Meta(gt=0, le=1_000)]
Bytes = Annotated[int, Meta(gt=0, le=256 * 1024 * 1024)]
MemoryBytes = Annotated[int, Meta(gt=0, le=1024**4)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=2_592_000)]
WholeSeconds = Annotated[int, Meta(gt=0, le=2_592_000)]
JwtAlgorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "EdDSA"]


def knob(about: str, **limits: Any) -> Meta:
    return Meta(description=about, **limits)


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Built by `load`; in code, `Settings(database="sqlite://…")` is as good."""

    # Where it runs
    database: Annotated[
        str, knob("sqlite:///relative.db, sqlite:////absolute.db or postgresql://…")
    ] = "sqlite:///ringback.db"
    listen: Annotated[str, knob("HOST:PORT to serve on; [::1]:8071 for IPv6.")] = "127.0.0.1:8071"
    role: Annotated[
        Literal["all", "api", "worker"],
        knob("all; api only takes messages; worker only delivers. The last two: PostgreSQL only."),
    ] = "all"
    workers: Annotated[
        int,
        knob("Processes of `serve` behind one port. More than one: PostgreSQL only.", ge=1, le=256),
    ] = 1
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], knob("The least level that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "text", "json"], knob("auto is text on a terminal and json elsewhere.")
    ] = "auto"
    drain_timeout_s: Annotated[
        float,
        knob(
            "How long a stop waits for attempts in flight before handing them over.",
            ge=0,
            le=86_400,
        ),
    ] = 20.0

    # Who may call
    jwt_secret: Annotated[
        str, knob("Key of bearer tokens: raw bytes for HS*, a PEM key for RS* and EdDSA.")
    ] = ""
    jwt_algorithm: Annotated[JwtAlgorithm, knob("The one algorithm accepted in tokens.")] = "HS256"
    token_cache_max: Annotated[Count, knob("Verified tokens kept in memory.")] = 10_000
    token_cache_s: Annotated[
        PositiveSeconds, knob("How long a verified token is trusted without checking it again.")
    ] = 60.0

    # Secrets
    main_secret: Annotated[
        str, knob("Seals endpoint secrets at rest; 32 or more random characters. Empty: unsealed.")
    ] = ""
    default_signature_type: Annotated[
        Literal["hmac256", "ed25519"], knob("The kind of secret a new endpoint gets.")
    ] = "hmac256"
    old_secrets_max: Annotated[
        Count, knob("Rotated-out secrets of an endpoint that may still be valid.")
    ] = 10
    header_family: Annotated[
        Literal["webhook", "svix"], knob("webhook-id … (Standard Webhooks) or svix-id ….")
    ] = "webhook"

    # What may be posted
    body_bytes_max: Annotated[Bytes, knob("Largest request body of the API.")] = 2 * 1024 * 1024
    bodies_bytes_max: Annotated[
        MemoryBytes,
        knob("Bytes of all request bodies that are being read or served; more are answered 503."),
    ] = 64 * 1024 * 1024
    endpoints_per_app_max: Annotated[Count, knob("Endpoints an application may have.")] = 10_000
    tasks_per_app_max: Annotated[
        Count, knob("Recoveries of an application that may run at the same time.")
    ] = 20
    endpoint_https_only: Annotated[bool, knob("Refuse http:// endpoint URLs.")] = False
    idempotency_ttl_s: Annotated[
        WholeSeconds, knob("How long an Idempotency-Key is remembered.")
    ] = 43_200
    idempotency_auto_ttl_s: Annotated[
        WholeSeconds, knob("The same for keys that SDKs make up for one call (auto_…).")
    ] = 300
    schema_bytes_max: Annotated[Bytes, knob("Largest JSON Schema set of an event type.")] = (
        256 * 1024
    )

    # Where it may send
    egress_allow: Annotated[
        tuple[str, ...], knob("Subnets that deliveries may reach although policy denies them.")
    ] = ()
    proxy: Annotated[
        str, knob("http://[user:password@]host:port of a CONNECT proxy for all deliveries.")
    ] = ""

    # How it sends
    delivery_timeout_s: Annotated[
        float, knob("An attempt ends after this, whatever its phase.", gt=0, le=300)
    ] = 15.0
    connect_timeout_s: Annotated[
        PositiveSeconds, knob("Name lookup, TCP and TLS together may take this long.")
    ] = 5.0
    response_kept_bytes_max: Annotated[
        Bytes, knob("First bytes of a response body that are kept.")
    ] = 16 * 1024
    response_read_bytes_max: Annotated[
        Bytes, knob("Bytes of a response body read before the connection is closed.")
    ] = 256 * 1024
    response_head_bytes_max: Annotated[
        Bytes, knob("Largest status line and headers of a response.")
    ] = 64 * 1024
    connections_idle_max: Annotated[
        Count, knob("Kept-alive connections to all receivers together.")
    ] = 2_000
    connections_idle_per_origin_max: Annotated[
        Count, knob("Kept-alive connections to one receiver.")
    ] = 1_000
    connection_idle_s: Annotated[
        PositiveSeconds, knob("A kept-alive connection is closed after this long unused.")
    ] = 30.0
    dns_cache_s: Annotated[PositiveSeconds, knob("How long a name lookup is reused.")] = 30.0
    dns_cache_max: Annotated[Count, knob("Names kept in the lookup cache.")] = 10_000
    dns_threads_max: Annotated[Parallel, knob("Name lookups at the same time.")] = 8

    # When it retries
    retry_schedule: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=2_592_000)], ...],
        knob("Seconds to wait before each retry. Empty: no retries.", max_length=100),
    ] = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
    retry_jitter: Annotated[
        float, knob("Each wait is varied by up to this share, both ways.", ge=0, le=1)
    ] = 0.2
    retry_after_s_max: Annotated[
        WholeSeconds, knob("The longest Retry-After that is honoured.")
    ] = 86_400
    endpoint_disable_after_h: Annotated[
        float,
        knob("An endpoint that only failed for this long is disabled. 0: never.", ge=0, le=8_760),
    ] = 120.0

    # How it paces
    inflight_max: Annotated[Count, knob("Attempts at the same time, all endpoints.")] = 4_000
    inflight_start: Annotated[
        Count, knob("The same while this process is busy: more would only queue in it.")
    ] = 256
    inflight_per_endpoint_max: Annotated[
        Count, knob("Attempts at the same time to one endpoint.")
    ] = 256
    inflight_per_endpoint_start: Annotated[
        Count, knob("The same for an endpoint that nothing is known of yet.")
    ] = 16
    lane_queue_max: Annotated[Count, knob("Deliveries that wait in memory for one endpoint.")] = (
        1_000
    )
    queue_max: Annotated[Count, knob("Deliveries that wait in memory, all endpoints.")] = 10_000
    queue_bytes_max: Annotated[
        MemoryBytes, knob("Bytes of messages that wait in memory or are being sent.")
    ] = 32 * 1024 * 1024
    lanes_max: Annotated[Count, knob("Endpoints whose pace is remembered in memory.")] = 20_000
    breaker_failures: Annotated[
        Count, knob("Messages that fail in a row until an endpoint is only probed.")
    ] = 20
    breaker_open_s: Annotated[
        PositiveSeconds, knob("First pause before a probe; doubles when nobody answers that.")
    ] = 5.0
    breaker_open_s_max: Annotated[PositiveSeconds, knob("The longest such pause.")] = 300.0

    # How it commits
    accept_batch_max: Annotated[Rows, knob("Messages committed together.")] = 500
    accept_queue_max: Annotated[
        Count, knob("Messages that wait for their commit; more are answered 503.")
    ] = 10_000
    record_batch_max: Annotated[Rows, knob("Attempts recorded together.")] = 500
    record_queue_max: Annotated[
        Count, knob("Results that may wait for their commit before sending pauses.")
    ] = 5_000
    claim_batch_max: Annotated[Rows, knob("Due deliveries claimed together.")] = 500
    tend_every_s: Annotated[
        PositiveSeconds, knob("How often due work is looked for when nothing wakes it.")
    ] = 1.0
    lease_s: Annotated[
        PositiveSeconds, knob("A node that says nothing for this long is taken for dead.")
    ] = 10.0
    sqlite_readers: Annotated[
        Parallel, knob("Read-only connections to the SQLite file that answer the API's reads.")
    ] = 2
    sqlite_path_readers: Annotated[
        Parallel, knob("The same for routing, claims and health, which a slow list never holds up.")
    ] = 1
    sqlite_cache_bytes: Annotated[MemoryBytes, knob("Page cache of the SQLite writer.")] = (
        16 * 1024 * 1024
    )
    postgres_pool: Annotated[
        Parallel, knob("Connections of a node to PostgreSQL that write and send.")
    ] = 6
    postgres_readers: Annotated[
        Parallel, knob("Connections of a node to PostgreSQL that answer the API's reads.")
    ] = 3
    postgres_connect_timeout_s: Annotated[
        PositiveSeconds, knob("How long connecting to PostgreSQL may take.")
    ] = 5.0
    postgres_statement_timeout_s: Annotated[
        PositiveSeconds, knob("After how long PostgreSQL gives up on a statement.")
    ] = 30.0
    postgres_lock_timeout_s: Annotated[
        PositiveSeconds, knob("How long a statement may wait for a lock in PostgreSQL.")
    ] = 10.0
    postgres_pgbouncer: Annotated[
        bool,
        knob(
            "PgBouncer in transaction mode is in between: prepare nothing, set no timeouts (set"
            " them on the role), hear of other nodes' work by looking."
        ),
    ] = False
    partition_h: Annotated[
        int, knob("Hours of messages in one partition of PostgreSQL's tables.", ge=1, le=720)
    ] = 24
    routing_cache_max: Annotated[Count, knob("Endpoints whose routing is cached.")] = 50_000

    # What it keeps
    payload_retention_days: Annotated[
        int, knob("Days after which payloads are deleted.", ge=1, le=3_650)
    ] = 90
    message_retention_days: Annotated[
        int, knob("Days after which messages and their attempts are deleted.", ge=1, le=3_650)
    ] = 90
    retention_every_s: Annotated[
        PositiveSeconds, knob("How often retention looks for what to delete.")
    ] = 30.0
    retention_batch_max: Annotated[
        Rows, knob("Rows that retention deletes in one transaction.")
    ] = 500

    def __post_init__(self) -> None:
        _check_subnets(self.egress_allow)
        _check_listen(self.listen)
        if self.main_secret and len(self.main_secret) < 32:
            raise ConfigError("main_secret needs 32 or more characters: openssl rand -base64 32")

        if self.bodies_bytes_max < self.body_bytes_max:
            raise ConfigError(
                f"bodies_bytes_max is less than body_bytes_max ({self.body_bytes_max}), so the"
                " largest body would never be taken; raise it, or lower the other"
            )

    def egress_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(subnet, strict=False) for subnet in self.egress_allow)

    def address(self) -> tuple[str, int]:
        """`listen` as host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def masked(url: str) -> str:
    """A URL without its password, to be shown. A user without a password may be a token: masked."""
    if url.startswith("sqlite:"):
        return url
    scheme, slashes, rest = url.partition("://") if "://" in url else ("", "", url)
    userinfo, at, place = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    hidden = f"{user if colon else ''}{colon}***{at}" if at else ""
    return _PASSWORD_FIELD.sub(r"\1***", f"{scheme}{slashes}{hidden}{place}")


def weakness_of_key(settings: Settings) -> str:
    """What is wrong with the key of tokens, and what to do; empty when it is long enough."""
    size = len(settings.jwt_secret.encode())
    needed = HMAC_BYTES_MIN.get(settings.jwt_algorithm, 0)
    if size >= needed:
        return ""
    return (
        f"jwt_secret has {size} bytes and can be guessed: {settings.jwt_algorithm} needs {needed};"
        f" make a new one: openssl rand -base64 {min(needed, 48)}"
    )


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like settings and are none, usually misspelt, each with what to do."""
    known = [PREFIX + name.upper() for name in Settings.__struct_fields__]
    unknown = sorted(
        name
        for name in environment
        if name.startswith(PREFIX)
        and name.removesuffix("_FILE") not in known
        and not _OTHER_VARIABLES.fullmatch(name)
    )
    return {name: f"it is no setting and changes nothing; {_hint(name)}" for name in unknown}


def _hint(variable: str) -> str:
    bare = variable.removesuffix("_FILE")
    name = bare.removeprefix(PREFIX).lower()
    nearest = get_close_matches(name, Settings.__struct_fields__, n=1)
    if nearest:
        return f"was {PREFIX}{nearest[0].upper()}{variable.removeprefix(bare)} meant?"
    return "`ringback config` lists all"


def load(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: str | Path | None = None,
) -> Settings:
    """Settings from flags over environment over file. Raises ConfigError with one clear line."""
    return load_with_sources(flags, environment, file)[0]


def load_with_sources(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: str | Path | None = None,
) -> tuple[Settings, dict[str, str]]:
    """As `load`, and for each setting that is not the default, where it came from."""
    environment = os.environ if environment is None else environment
    file = file or environment.get(PREFIX + "CONFIG")
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    layers = [
        *_from_file(file),
        *_from_environment(environment),
        *((name, value, "flag") for name, value in (flags or {}).items() if value is not None),
    ]
    for name, value, source in layers:
        values[name], sources[name] = value, source
    return _build(values, sources), sources


def _from_file(file: str | Path | None) -> list[tuple[str, object, str]]:
    if not file:
        return []
    try:
        parsed = tomllib.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the configuration file {file}: {error}") from None
    return [(name, value, str(file)) for name, value in parsed.items()]


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, object, str]]:
    found: list[tuple[str, object, str]] = []
    for name in Settings.__struct_fields__:
        variable = PREFIX + name.upper()
        if path := environment.get(variable + "_FILE"):
            found.append((name, _secret_file(variable, path), variable + "_FILE"))
        if variable in environment:
            found.append((name, environment[variable], variable))
    return found


def _secret_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{variable}_FILE: cannot read {path}: {error}") from None


def _build(values: dict[str, object], sources: Mapping[str, str]) -> Settings:
    hints = get_type_hints(Settings, include_extras=True)
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(
                f"{sources[name]}: there is no setting {name!r}; `ringback config` lists them all"
            )
        if isinstance(value, str) and not _is_utf8(value):
            raise ConfigError(f"{name} ({sources[name]}): it is not UTF-8; write it in that")
        try:
            values[name] = msgspec.convert(_parts(value, hints[name]), hints[name], strict=False)
        except msgspec.ValidationError as error:
            shown = "its value" if name in SECRETS | URLS else repr(value)
            raise ConfigError(f"{name} ({sources[name]}): {shown} is refused: {error}") from None
    return Settings(**values)  # type: ignore[arg-type]


def _is_utf8(text: str) -> bool:
    """Not so where the environment or a command line held other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: object, hint: object) -> object:
    """Text for a list setting, split at its commas; anything else as it is."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if not isinstance(value, str) or get_origin(bare) is not tuple:
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_subnets(subnets: tuple[str, ...]) -> None:
    for subnet in subnets:
        try:
            ip_network(subnet, strict=False)
        except ValueError as error:
            raise ConfigError(f"egress_allow: {error}; write it as 10.1.0.0/16") from None


def _check_listen(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"listen: {listen!r} is not HOST:PORT, for example 127.0.0.1:8071")
