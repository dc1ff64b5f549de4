"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import click

from opslib.errors import UsageError
from opslib.home import archive_folder, default_archive, default_environment

MOST_JOBS = 64  # each has a kernel of 40 MB

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
system = click.option("--system", "-s", metavar="NAME", help="A system: a file in parameters/systems.")
systems = click.option(
    "--system",
    "-s",
    "systems",
    multiple=True,
    metavar="NAME",
    help="A system: a file in parameters/systems; may be repeated.",
)
environment = click.option(
    "--env",
    "-e",
    "environment",
    metavar="NAME",
    help="Which of its environments (default: OPSLIB_ENV, else sandbox).",
)
archive = click.option(
    "--archive",
    metavar="DIR",
    help="Where records are kept (default: OPSLIB_ARCHIVE, else the project's archive).",
)
archive_or_copy = click.option(
    "--archive",
    metavar="DIR|s3://…",
    help="Where records are kept, or their copy (default: OPSLIB_ARCHIVE, else the project's archive).",
)

jobs = click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, MOST_JOBS),
    metavar="N",
    help="How many at the same time (default: two more than there are cores).",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")


def chosen_environment(name: str | None) -> str:
    """Return the environment named, else the default one."""
    return name or default_environment()


def needed_system(name: str | None) -> str:
    """Return the system named.

    Raises:
        UsageError: none was named; those that exist are listed.
    """
    if name:
        return name
    from opslib.config import list_systems

    known = ", ".join(list_systems()) or "none yet, see `opslib system new --help`"
    raise UsageError("which system? give --system NAME", hint=f"systems: {known}")


def set_archive(name: str | None) -> Path:
    """Return the archive's folder, and name it to the kernels that this process starts.

    Raises:
        UsageError: it is no folder.
    """
    path = archive_folder(name) if name else default_archive()
    os.environ["OPSLIB_ARCHIVE"] = str(path)
    return path


def opened_archive(name: str | None) -> Path:
    """Return the archive's folder, after what a killed run had left was put into it.

    Raises:
        ArchiveError: the folder cannot be used.
        UsageError: it is no folder.
    """
    from opslib.runner import recover

    path = set_archive(name)
    recover.sweep(path)
    return path
