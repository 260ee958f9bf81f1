"""A database as a self-hosted Svix server leaves it: its tables, and rows in them.

Only the tables and columns that moving looks at, with their types and names; see `store.svix`.
"""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ringback.sign.xchacha import hchacha20

AT: Final = "2025-05-01 10:00:00.123456+00"
HMAC: Final = 1
ED25519: Final = 2
TABLES: Final = """
    CREATE TABLE application (
        id varchar PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        org_id varchar NOT NULL, uid varchar, name varchar NOT NULL, rate_limit integer,
        deleted boolean NOT NULL
    );
    CREATE TABLE endpoint (
        id varchar PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        app_id varchar NOT NULL REFERENCES application (id), key bytea NOT NULL,
        url varchar NOT NULL, description varchar NOT NULL, event_types_ids jsonb,
        version integer NOT NULL, rate_limit integer, deleted boolean NOT NULL,
        disabled boolean NOT NULL, first_failure_at timestamptz, uid varchar, old_keys jsonb,
        channels jsonb, headers jsonb
    );
    CREATE TABLE eventtype (
        id varchar PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        org_id varchar NOT NULL, name varchar NOT NULL, description varchar NOT NULL,
        deleted boolean NOT NULL, schemas json, feature_flag text,
        deprecated boolean NOT NULL DEFAULT false
    );
    CREATE TABLE applicationmetadata (
        id varchar PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        data jsonb NOT NULL
    );
    CREATE TABLE endpointmetadata (
        id varchar PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        data jsonb NOT NULL
    );
"""


class SvixDatabase:
    """`make` it on an empty database."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def make(self) -> None:
        await self.run(TABLES)

    async def run(self, text: str, *values: Any) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(text, *values)
        finally:
            await connection.close()

    async def add(self, table: str, **columns: Any) -> None:
        """A row; dicts and lists become JSON, instants are AT unless they are given."""
        columns = {"created_at": AT, "updated_at": AT} | columns
        values = [
            json.dumps(value) if isinstance(value, dict | list) else value
            for value in columns.values()
        ]
        marks = ", ".join(
            f"${place}::text::timestamptz" if name.endswith("_at") else f"${place}"
            for place, name in enumerate(columns, 1)
        )
        names = ", ".join(columns)
        await self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values)  # noqa: S608


def stored_key(key: bytes, *, kind: int = HMAC, main_secret: str = "") -> bytes:
    """As Svix keeps a signing key."""
    if not main_secret:
        return bytes([kind]) + key
    sealing = hmac.digest(main_secret.encode(), b"main", hashlib.sha256)
    nonce = bytes(range(24))
    cipher = ChaCha20Poly1305(hchacha20(sealing, nonce[:16]))
    sealed = cipher.encrypt(bytes(4) + nonce[16:], key, None)
    return bytes([kind | 0x80]) + nonce + sealed


def secret_text(key: bytes, *, prefix: str = "whsec_") -> str:
    """As its receiver knows it."""
    return prefix + b64encode(key).decode()
