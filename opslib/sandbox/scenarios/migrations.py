"""Ways in which the files of migrations and the database part company."""

from __future__ import annotations

import shutil
from pathlib import Path

from opslib.sandbox import migrations
from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

PRISMA = "20251101090000_tags"
NEW = {
    "klutr": f"{PRISMA}/migration.sql",
    "your-app": "20251101090000_tags.sql",
    "voiceaitraining": "20251101090000_tags.sql",
    "your-backend": "014_add_tags.sql",
}
_SQL = "create table public.tags (id bigint generated always as identity primary key, name text not null);\n"
_BROKEN = "alter table public.tags add constraint tags_name check (name <> '' or no_such_column);\n"


def _add(world: World, system: str) -> None:
    """Merge a file that nobody has applied yet."""
    path = migrations.write(world.databases, system) / NEW[system]
    path.parent.mkdir(exist_ok=True)
    path.write_text(_SQL)
    stack = world.hold("migration-pending", system)
    stack.callback(_unapply, world, system)
    stack.callback(_take_away, path)


def _unapply(world: World, system: str) -> None:
    """Take back what a person has applied while the file was there."""
    file = NEW[system].partition("/")[0]
    notes = {
        "supabase_migrations.schema_migrations": ("version", file.partition("_")[0]),
        "public.migrations": ("name", file),
    }
    with world.databases.admin(system) as admin:
        admin.execute(b"drop table if exists public.tags")
        for table, (column, value) in notes.items():
            if admin.execute("select to_regclass(%s)", [table]).fetchone() != (None,):
                admin.execute(f"delete from {table} where {column} = %s".encode(), [value])


def _lose(world: World, system: str) -> None:
    """Deploy a branch that lacks a file which was applied."""
    path = _some(migrations.write(world.databases, system))
    text = path.read_text()
    stack = world.hold("migration-gap", system)
    stack.callback(path.write_text, text)
    stack.callback(path.parent.mkdir, exist_ok=True)
    _take_away(path)


def _edit(world: World, system: str) -> None:
    """Change a file instead of writing a new one."""
    path = _some(migrations.write(world.databases, system))
    text = path.read_text()
    world.hold("migration-edited", system).callback(path.write_text, text)
    path.write_text(f"{text}alter table public.users add column nickname text;\n")


def _fail(world: World, system: str) -> None:
    """Run a file of two statements, of which the second fails, as Prisma does: without a transaction."""
    import psycopg

    path = migrations.write(world.databases, system) / NEW[system]
    path.parent.mkdir(exist_ok=True)
    path.write_text(_SQL + _BROKEN)
    stack = world.hold("migration-fails-midway", system)
    stack.callback(_take_away, path)
    stack.callback(_forget, world, system)
    with world.databases.admin(system) as admin:
        admin.execute(
            "insert into _prisma_migrations (id, checksum, migration_name, applied_steps_count)"
            " values (md5(%s)::uuid, md5(%s), %s, 0)",
            [PRISMA, PRISMA, PRISMA],
        )
        admin.execute(_SQL.encode())
        try:
            admin.execute(_BROKEN.encode())
        except psycopg.errors.UndefinedColumn:
            return


def _forget(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute("delete from _prisma_migrations where migration_name = %s", [PRISMA])
        admin.execute(b"drop table if exists public.tags")


def _some(place: Path) -> Path:
    """Return a file that is neither the first nor the last, of plain files or Prisma's folders."""
    return sorted(place.rglob("*.sql"))[2]


def _take_away(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.name == "migration.sql":
        shutil.rmtree(path.parent, ignore_errors=True)


def _warning(cause: str) -> dict[str, tuple[Status, str]]:
    return {"migrations": (Status.WARNING, cause)}


SCENARIOS = (
    Scenario(
        "migration-pending",
        "a file was merged, and nobody has applied it",
        _add,
        _warning("migration-pending"),
        tuple(NEW),
    ),
    Scenario(
        "migration-gap",
        "the file of a migration that was applied is not in the clone",
        _lose,
        _warning("migration-gap"),
        tuple(NEW),
    ),
    Scenario(
        "migration-edited",
        "a file was changed after it was applied",
        _edit,
        _warning("migration-edited"),
        ("your-app", "klutr", "voiceaitraining"),
    ),
    Scenario(
        "migration-fails-midway",
        "the second of two statements failed; the first one stands, and the ledger has it as not finished",
        _fail,
        {"migrations": (Status.CRITICAL, "migration-fails-midway")},
        ("klutr",),
    ),
)
