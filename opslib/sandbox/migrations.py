"""The files of migrations, as a clone of each system's repository would have them: made from its ledger."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import home

if TYPE_CHECKING:
    from psycopg import Connection

    from opslib.sandbox.databases import Databases

_PRISMA = (
    "select migration_name || '/migration.sql', '-- ' || migration_name || chr(10) from _prisma_migrations"
)
_SUPABASE = (
    "select version || '_' || name || '.sql', array_to_string(statements, E';\\n\\n') || E';\\n'"
    " from supabase_migrations.schema_migrations"
)
_PLAIN = "select name, '-- ' || name || chr(10) from migrations"
LEDGERS = {
    "klutr": _PRISMA, "your-app": _SUPABASE, "voiceaitraining": _SUPABASE, "your-backend": _PLAIN,
}  # fmt: skip


def folder(system: str) -> Path:
    """Return where a system's files are."""
    return home.home() / "sandbox" / "migrations" / system


def write(databases: Databases, system: str) -> Path:
    """Make the files of a system where they are not there yet, and return their folder."""
    place = folder(system)
    if system in LEDGERS and not place.exists():
        with databases.admin(system) as admin:
            _write(admin, system, place)
    return place


def remove() -> None:
    """Remove the files of all systems."""
    shutil.rmtree(folder(""), ignore_errors=True)


def _write(admin: Connection, system: str, place: Path) -> None:
    for name, text in admin.execute(LEDGERS[system].encode()).fetchall():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
