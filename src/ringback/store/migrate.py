"""Migrations, whatever the database: which there are, which are applied, which come next.

A migration is a file `NNNN_name.sql`. Its checksum is written down when it is applied; a database
whose book does not match the files was written by another version, and is not touched.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from ringback.errors import SchemaMismatch

_NAME: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")


class Migration(Struct, frozen=True):
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Applied(Struct, frozen=True):
    number: int
    name: str
    checksum: str
    applied_at_ms: int


class State(Struct, frozen=True):
    """A migration as `ringback migrations status` shows it; not applied yet without an instant."""

    number: int
    name: str
    applied_at_ms: int | None


def known(package: str) -> list[Migration]:
    """The migrations in a package's `migrations` directory, in order."""
    found = [
        Migration(int(match[1]), match[2], file.read_text())
        for file in (files(package) / "migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def pending(migrations: Sequence[Migration], applied: Sequence[Applied]) -> list[Migration]:
    """Those to apply, in order. Raises SchemaMismatch if the book and the files disagree."""
    by_number = {migration.number: migration for migration in migrations}
    for entry in applied:
        migration = by_number.get(entry.number)
        if migration is None:
            raise SchemaMismatch(
                f"the database has migration {entry.number:04}_{entry.name}, which this version"
                " does not know; upgrade Ringback, or restore a backup from before the upgrade"
            )
        if migration.checksum != entry.checksum:
            raise SchemaMismatch(
                f"migration {entry.number:04}_{entry.name} is not the one that was applied to this"
                " database; reinstall the released version of Ringback"
            )
    last = max((entry.number for entry in applied), default=0)
    missing = [migration for migration in migrations if migration.number not in _numbers(applied)]
    if missing and missing[0].number < last:
        raise SchemaMismatch(
            f"migration {missing[0].number:04}_{missing[0].name} was skipped in this database;"
            " restore a backup"
        )
    return missing


def states(migrations: Sequence[Migration], applied: Sequence[Applied]) -> list[State]:
    """All migrations with their instants. Raises SchemaMismatch as `pending` does."""
    pending(migrations, applied)
    instants = {entry.number: entry.applied_at_ms for entry in applied}
    return [State(one.number, one.name, instants.get(one.number)) for one in migrations]


def _numbers(applied: Sequence[Applied]) -> set[int]:
    return {entry.number for entry in applied}
