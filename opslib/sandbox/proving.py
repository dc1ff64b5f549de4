"""The server that a backup is tried on: for want of nothing that the machine can give may a restore break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import LiteralString

from opslib.backup import locks
from opslib.backup.manifest import Holds
from opslib.config.environment import Door
from opslib.sandbox import postgres
from opslib.sandbox.scratch import scratch

_FEWEST_LOCKS = 64  # for each session, which is what servers have unless they are told otherwise
_LANGUAGE = "plpgsql"  # what each new database has, and no dump says where one has not


@contextmanager
def server(holds: Holds) -> Iterator[Door]:
    """Yield the door to an empty database that was made for what a backup holds.

    Raises:
        SandboxError: as for `scratch`.
    """
    each = max(_FEWEST_LOCKS, locks.for_each(holds, int(postgres.SETTINGS["max_connections"])))
    settings = {locks.SETTING: str(each)}
    with scratch(holds.major, holds.roles, locale=holds.locale, settings=settings) as door:
        if _LANGUAGE not in holds.extensions:
            _change(door, f"drop extension {_LANGUAGE}")
        yield door


def _change(door: Door, statement: LiteralString) -> None:
    import psycopg

    with closing(psycopg.connect(door.dsn.reveal(), autocommit=True)) as session:
        session.execute(statement)
