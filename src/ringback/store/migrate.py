"""Migrations, whatever the database: which there are, which are applied, which come next.

A migration is a file `NNNN_name.sql`. Its checksum is written down when it is applied; a database
whose book does not match the files was written by another version, and is not touched.

Old and new programs may run on one database while it is upgraded. So a migration says how old a
program may be that goes on working after it, by the newest migration that such a program knows:

    -- works with: 0007

That stands in a line of its own. Without it only programs that know the migration itself do.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from ringback.errors import SchemaMismatch

_NAME: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_WORKS_WITH: Final = re.compile(r"^-- works with: ([0-9]{4})$", re.MULTILINE)


class Migration(Struct, frozen=True):
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def works_with(self) -> int:
        """The newest migration that a program must know at least."""
        found = _WORKS_WITH.search(self.text)
        return self.number if found is None else min(int(found[1]), self.number)


class Applied(Struct, frozen=True):
    """An entry of the book. `works_with` 0: nobody wrote it down."""

    number: int
    name: str
    checksum: str
    applied_at_ms: int
    works_with: int = 0


class State(Struct, frozen=True):
    """A migration as `ringback migrate status` shows it; not applied yet without an instant.

    One that is not known is of a later version, which says that this one may run on.
    """

    number: int
    name: str
    applied_at_ms: int | None
    is_known: bool = True


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
    newest = max(by_number, default=0)
    for entry in applied:
        migration = by_number.get(entry.number)
        if migration is None and newest < entry.number and 0 < entry.works_with <= newest:
            continue
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
    ours = [State(one.number, one.name, instants.get(one.number)) for one in migrations]
    numbers = {one.number for one in migrations}
    later = [
        State(entry.number, entry.name, entry.applied_at_ms, is_known=False)
        for entry in applied
        if entry.number not in numbers
    ]
    return [*ours, *later]


def breaking(missing: Sequence[Migration], applied: Sequence[Applied]) -> list[Migration]:
    """Those after which programs that know only what is applied do not work any more."""
    last = max((entry.number for entry in applied), default=0)
    return [migration for migration in missing if migration.works_with > last > 0]


def _numbers(applied: Sequence[Applied]) -> set[int]:
    return {entry.number for entry in applied}
