"""The server that a backup is tried on: for want of nothing that the machine can give may a restore break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import LiteralString

from opslib.backup import locks, money
from opslib.backup.manifest import Holds
from opslib.config.environment import Door
from opslib.errors import SandboxError
from opslib.sandbox import postgres, trial_copy
from opslib.sandbox.scratch import scratch

_FEWEST_LOCKS = 64  # for each session, which is what servers have unless they are told otherwise
_LANGUAGE = "plpgsql"  # what each new database has, and no dump says where one has not


@contextmanager
def server(holds: Holds) -> Iterator[Door]:
    """Yield the door to an empty database that was made for what a backup holds.

    Nobody knows which of its roles could read what, or were superusers: no dump says it. So all of them may
    do everything, and what one owns can be made. The first superuser is none of them, as on another server.

    Raises:
        SandboxError: as for `scratch`.
    """
    each = max(_FEWEST_LOCKS, locks.for_each(holds, int(postgres.SETTINGS["max_connections"])))
    settings, first = {locks.SETTING: str(each)}, trial_copy.superuser()
    with scratch(
        holds.major, holds.roles, owner=first, locale=holds.locale, superuser=first, privileged=True,
        settings=settings,
    ) as door:  # fmt: skip
        if _LANGUAGE not in holds.extensions:
            _change(door, f"drop extension {_LANGUAGE}")
        if written := holds.locale.get(money.MONETARY):
            _write_money(door, written)
        yield door


def _write_money(door: Door, locale: str) -> None:
    import psycopg

    try:
        _change(door, "alter database scratch set lc_monetary = {}", locale)
    except psycopg.Error as error:
        raise SandboxError(
            f"this machine cannot write money as the database did: {error}",
            hint="install its locale (locale-gen), or use a server that has it",
        ) from None


def _change(door: Door, statement: LiteralString, *values: str) -> None:
    import psycopg
    from psycopg import sql

    with closing(psycopg.connect(door.dsn.reveal(), autocommit=True)) as session:
        session.execute(sql.SQL(statement).format(*values))
