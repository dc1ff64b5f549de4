"""Servers that are started for a test, and what a backup brings back from one into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from opslib.backup import drilling, manifest, taking, tools
from opslib.backup.drilling import Drill
from opslib.backup.manifest import Holds
from opslib.backup.store import Folder
from opslib.config import Door
from opslib.pg import whole
from opslib.sandbox.scratch import scratch
from tests import majors

NAME = "opslib/test"


@contextmanager
def server(
    major: str = majors.PACKAGED, *roles: str, locale: Mapping[str, str] | None = None
) -> Iterator[Door]:
    """Yield the door to an empty database of a server of one of the versions at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_BIN", majors.folders()[major])
        with scratch(0, roles, locale=locale) as door:
            yield door


def make(door: Door, statements: str) -> None:
    """Run statements in a database."""
    with psycopg.connect(door.dsn.reveal(), autocommit=True) as session:
        session.execute(statements.encode())


def held(door: Door) -> Holds:
    """Return what a database holds."""
    with whole.frozen(door, NAME) as view:
        return manifest.look(view)


def drilled(
    door: Door,
    folder: Path,
    major: str = majors.PACKAGED,
    to: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Drill:
    """Take a backup, and restore it into a server that has the roles that the manifest names."""
    kept = Folder(folder / "sandbox", "kulti")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_PG_CLIENT_BIN", majors.folders()[major])
        patch.setattr(tools, "_PACKED", ())  # gzip, which programs of all versions can read
        backup = taking.take(taking.Source("kulti", "sandbox", door, NAME), kept, say=say)
        holds = backup.holds
        return drilling.drill(kept, backup, lambda: server(to or major, *holds.roles, locale=holds.locale))
