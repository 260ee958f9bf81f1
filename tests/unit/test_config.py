"""Settings: which source wins, and that every bad value gets one clear line."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from ringback.config import (
    SECRETS,
    URLS,
    Settings,
    load,
    load_with_sources,
    masked,
    unknown_variables,
    weakness_of_key,
)
from ringback.errors import ConfigError

NOTHING: dict[str, str] = {}


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "ringback.toml"
    file.write_text('database = "sqlite:///of-file.db"\nlisten = "127.0.0.1:1"\nqueue_max = 5\n')
    return file


def test_without_any_source_everything_is_the_default() -> None:
    settings, sources = load_with_sources(environment=NOTHING)
    assert settings == Settings()
    assert sources == {}


def test_flags_win_over_environment_over_file(toml: Path) -> None:
    environment = {"RINGBACK_LISTEN": "127.0.0.1:2", "RINGBACK_DATABASE": "sqlite:///of-env.db"}
    settings, sources = load_with_sources({"database": "sqlite:///of-flag.db"}, environment, toml)
    assert settings.database == "sqlite:///of-flag.db"
    assert settings.listen == "127.0.0.1:2"
    assert settings.queue_max == 5
    assert sources == {
        "database": "flag",
        "listen": "RINGBACK_LISTEN",
        "queue_max": str(toml),
    }


def test_a_flag_that_was_not_given_is_none_and_hides_nothing(toml: Path) -> None:
    settings = load({"database": None}, NOTHING, toml)
    assert settings.database == "sqlite:///of-file.db"


def test_the_environment_can_name_the_file(toml: Path) -> None:
    assert load(environment={"RINGBACK_CONFIG": str(toml)}).queue_max == 5


def test_a_secret_can_come_from_a_file_and_loses_its_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  kept as it is \n")
    settings, sources = load_with_sources(environment={"RINGBACK_JWT_SECRET_FILE": str(file)})
    assert settings.jwt_secret == "  kept as it is "
    assert sources == {"jwt_secret": "RINGBACK_JWT_SECRET_FILE"}


def test_the_variable_wins_over_its_file_twin(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file")
    environment = {"RINGBACK_JWT_SECRET_FILE": str(file), "RINGBACK_JWT_SECRET": "direct"}
    assert load(environment=environment).jwt_secret == "direct"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ()), ("5", (5.0,)), ("5, 300,1800.5", (5.0, 300.0, 1800.5)), (" , ", ())],
)
def test_a_list_is_split_at_its_commas(text: str, expected: tuple[float, ...]) -> None:
    assert load(environment={"RINGBACK_RETRY_SCHEDULE": text}).retry_schedule == expected


def test_subnets_are_networks() -> None:
    settings = load(environment={"RINGBACK_EGRESS_ALLOW": "127.0.0.1/32, ::1/128"})
    assert settings.egress_networks() == (ip_network("127.0.0.1/32"), ip_network("::1/128"))


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("1", True), ("false", False)])
def test_booleans(text: str, expected: bool) -> None:
    environment = {"RINGBACK_ENDPOINT_HTTPS_ONLY": text}
    assert load(environment=environment).endpoint_https_only is expected


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8071", ("127.0.0.1", 8071)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65_535)),
    ],
)
def test_the_address_to_listen_on(listen: str, expected: tuple[str, int]) -> None:
    assert Settings(listen=listen).address() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "8071"),
        ("listen", "127.0.0.1:"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "127.0.0.1:http"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("drain_timeout_s", "-1"),
        ("jwt_algorithm", "none"),
        ("main_secret", "short"),
        ("bodies_bytes_max", "1000"),
        ("default_signature_type", "rsa"),
        ("header_family", "x"),
        ("body_bytes_max", "0"),
        ("body_bytes_max", "2MB"),
        ("endpoint_https_only", "perhaps"),
        ("egress_allow", "10.0.0.0/99"),
        ("egress_allow", "example.com"),
        ("delivery_timeout_s", "0"),
        ("delivery_timeout_s", "301"),
        ("retry_schedule", "5,soon"),
        ("retry_schedule", "-5"),
        ("retry_schedule", ",".join(["1"] * 101)),
        ("retry_jitter", "1.1"),
        ("payload_retention_days", "0"),
        ("inflight_max", "1.5"),
        ("idempotency_ttl_s", str(10**18)),
        ("retry_after_s_max", str(10**18)),
    ],
)
def test_every_bad_value_gets_one_line_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment={f"RINGBACK_{name.upper()}": value})
    line = str(caught.value)
    assert line.startswith(name)
    assert "\n" not in line


@pytest.mark.parametrize(
    "name", [name for name, value in asdict(Settings()).items() if type(value) in (int, float)]
)
@pytest.mark.parametrize("value", [-1, 10**15])
def test_no_number_is_without_bounds(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} \("):
        load({name: value}, NOTHING)


@pytest.mark.parametrize("name", [name for name in Settings.__struct_fields__ if name != "listen"])
def test_no_setting_takes_a_nested_table(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({name: {"a": {"b": 1}}}, NOTHING)


def test_an_unknown_setting_is_refused_and_its_source_named(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("queue_maximum = 5\n")
    with pytest.raises(ConfigError, match="no setting 'queue_maximum'") as caught:
        load(environment=NOTHING, file=file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", sorted(SECRETS | URLS))
def test_a_refused_secret_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: ["correct horse"]}, NOTHING)
    assert "correct horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("RINGBACK_MAIN_SECERT", "was RINGBACK_MAIN_SECRET meant?"),
        ("RINGBACK_MAIN_SECERT_FILE", "was RINGBACK_MAIN_SECRET_FILE meant?"),
        ("RINGBACK_ZZZ", "`ringback config` lists all"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest_name(variable: str, meant: str) -> None:
    assert unknown_variables({variable: "x", "HOME": "/"})[variable].endswith(meant)


@pytest.mark.parametrize(
    "variable",
    [
        "RINGBACK_MAIN_SECRET",
        "RINGBACK_MAIN_SECRET_FILE",
        "RINGBACK_CONFIG",
        "RINGBACK_URL",
        "RINGBACK_TOKEN",
        "RINGBACK_TEST_POSTGRES",
        "RINGBACK_SERVICE_HOST",
        "RINGBACK_SERVICE_PORT_HTTP",
        "RINGBACK_PORT",
        "RINGBACK_PORT_8071_TCP_ADDR",
        "ringback_listne",
    ],
)
def test_what_is_known_or_not_ours_is_no_misspelling(variable: str) -> None:
    assert unknown_variables({variable: "x"}) == {}


def test_a_value_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"database \(RINGBACK_DATABASE\): it is not UTF-8"):
        load(environment={"RINGBACK_DATABASE": "sqlite:///\udcff.db"})


@pytest.mark.parametrize("content", ["listen = ", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "ringback.toml"
    if isinstance(content, str):
        file.write_text(content)
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read") as caught:
        load(environment=NOTHING, file=file)
    assert "\n" not in str(caught.value)


def test_a_secret_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RINGBACK_JWT_SECRET_FILE: cannot read"):
        load(environment={"RINGBACK_JWT_SECRET_FILE": str(tmp_path / "missing")})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://me:secret@proxy:3128", "http://me:***@proxy:3128"),
        ("http://me:se@cr://e/t@proxy:3128", "http://me:***@proxy:3128"),
        ("http://token@proxy:3128", "http://***@proxy:3128"),
        ("me:secret@proxy:3128", "me:***@proxy:3128"),
        ("postgresql://me:secret@db/ringback", "postgresql://me:***@db/ringback"),
        (
            "postgresql://db/ringback?password=secret&x=1",
            "postgresql://db/ringback?password=***&x=1",
        ),
        ("sqlite:////var/lib/a:b@c.db", "sqlite:////var/lib/a:b@c.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("algorithm", "size", "is_weak"),
    [("HS256", 31, True), ("HS256", 32, False), ("HS512", 32, True), ("HS512", 64, False)],
)
def test_a_key_shorter_than_its_hash_is_weak(algorithm: Any, size: int, is_weak: bool) -> None:
    key = "k" * size
    weakness = weakness_of_key(Settings(jwt_secret=key, jwt_algorithm=algorithm))
    assert bool(weakness) is is_weak
    assert key not in weakness


def test_a_pem_key_is_not_measured() -> None:
    assert weakness_of_key(Settings(jwt_secret="-----BEGIN", jwt_algorithm="EdDSA")) == ""
