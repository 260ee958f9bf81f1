"""A PostgreSQL that is spoken to over TLS: who is believed, and what is said when it is nobody."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from ringback.config import Settings
from ringback.errors import ConfigError
from ringback.store.postgres.connection import connect
from ringback.testing.postgres import EXTERNAL, PostgresServer

pytestmark = pytest.mark.skipif(bool(EXTERNAL), reason="needs a server of its own, with TLS")

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    certificate = AUTHORITY.issue_cert("localhost")
    owner = server.files.stat().st_uid
    for name, text in (
        ("server.crt", b"".join(blob.bytes() for blob in certificate.cert_chain_pems)),
        ("server.key", certificate.private_key_pem.bytes()),
    ):
        file = server.files / name
        file.touch(0o600)
        file.write_bytes(text)
        os.chown(file, owner, -1)
    if not asyncio.run(takes_tls(server)):
        server.close()
        pytest.skip("this PostgreSQL is built without TLS")
    yield server
    server.close()


async def takes_tls(server: PostgresServer) -> bool:
    connection = await connect(Settings(database=server.url("postgres")))
    try:
        await connection.execute("ALTER SYSTEM SET ssl = on")
    except Exception:
        return False
    finally:
        await connection.close()
    server.restart(immediate=False)
    return True


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return written(AUTHORITY, tmp_path / "authority.pem")


def written(authority: trustme.CA, file: Path) -> Path:
    authority.cert_pem.write_to_path(str(file))
    return file


def url(server: PostgresServer, options: str, *, host: str = "localhost") -> str:
    at = f"ringback:hidden@{host}:{server.port}"
    return f"postgresql://{at}/postgres?{options}"


def is_encrypted(url: str) -> bool:
    async def run() -> bool:
        connection = await connect(Settings(database=url))
        try:
            found = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            return bool(await connection.fetchval(found))
        finally:
            await connection.close()

    return asyncio.run(run())


def refused(url: str, *words: str) -> None:
    with pytest.raises(ConfigError) as said:
        is_encrypted(url)
    text = str(said.value)
    assert all(word in text for word in (*words, "certificate", "sslrootcert=")), text
    assert "hidden" not in text
    assert "cannot be understood" not in text


def test_a_server_of_a_trusted_authority(server: PostgresServer, authority: Path) -> None:
    assert is_encrypted(url(server, f"sslmode=verify-full&sslrootcert={quote(str(authority))}"))


def test_a_server_that_nobody_vouches_for(server: PostgresServer, tmp_path: Path) -> None:
    stranger = written(STRANGER, tmp_path / "stranger.pem")
    refused(url(server, f"sslmode=verify-full&sslrootcert={stranger}"), "is refused")


def test_a_server_of_another_name(server: PostgresServer, authority: Path) -> None:
    options = f"sslmode=verify-full&sslrootcert={authority}"
    refused(url(server, options, host="127.0.0.1"), "is refused", "not valid for '127.0.0.1'")


def test_without_anybody_to_trust(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    refused(url(server, "sslmode=verify-full"), "nothing to check")


def test_a_file_of_authorities_that_is_not_there(server: PostgresServer) -> None:
    refused(url(server, "sslmode=verify-full&sslrootcert=system"), "no file system")
