"""`opslib migration`: files of migrations."""

from __future__ import annotations

from pathlib import Path

import click

from opslib.cli import output
from opslib.errors import UsageError


@click.group("migration")
def migration_command() -> None:
    """Files of migrations; what became of them, the procedure `migrations` says.

    \b
    opslib migration new "add tags" --system your-app
    """


@migration_command.command("new")
@click.argument("name")
@click.option("--system", help="Whose; its file names the folder, below the one that you are in.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the files are instead.")
def new_migration(name: str, system: str | None, folder: Path | None) -> int:
    """Write an empty file after the last one, numbered as the others; none is ever overwritten.

    \b
    opslib migration new "add tags" --folder supabase/migrations
    """
    from opslib import ids
    from opslib.checks import migration_files

    path = migration_files.create(folder or _folder(system), name, ids.now())
    output.say(f"Written: {path}")
    given = f"--system {system or 'NAME'} -p folder={path.parent} -p apply=true"
    output.say(f"Once it is filled in: opslib run migrations {given}")
    return 0


def _folder(system: str | None) -> Path:
    """Return where a system's file says that its migrations are."""
    from opslib import config

    if not system:
        raise UsageError("in which folder?", hint="give --folder, or --system in the root of its clone")
    known = config.load_system(system).migrations
    if known is None:
        raise UsageError(f"{system} names no migrations in its file", hint="give --folder")
    return Path(known.folder)
