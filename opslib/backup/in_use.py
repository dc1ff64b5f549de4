"""Whether a database is one that the system uses: by its address, and by what its server says that it is.

One database has many addresses: another name of its host, a tunnel, a pooler. So each server is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opslib.config.model import SANDBOX
from opslib.errors import Forbidden, SourceError
from opslib.pg import Database
from opslib.pg.connect import DoorLike, parameters

if TYPE_CHECKING:
    from opslib.config import Environment

_NAME = "opslib/restore looks"
_SAME = ("127.0.0.1", "::1", "localhost")
Address = tuple[str, str, str]


@dataclass(frozen=True)
class Compared:
    """What came of holding a database against those that the system uses.

    Args:
        same: it is one of them.
        unseen: those that could not be asked, each with why.
        unread: doors whose address is not on this machine: no target can have been copied from them.
    """

    same: bool
    unseen: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """Which database this is, whatever it was called on the way to it.

    Args:
        cluster: number of the server's files, and of the database in them; None where that is not told.
        server: when the server was started, to the microsecond, and the database's own name.
    """

    cluster: tuple[str, int] | None
    server: tuple[str, str]

    def is_that(self, other: Identity) -> bool:
        """Tell whether both are one database."""
        if self.cluster and other.cluster:
            return self.cluster == other.cluster
        return self.server == other.server


@dataclass(frozen=True)
class _Known:
    """Doors that lead to one address, the operator's last."""

    environment: str
    doors: tuple[DoorLike, ...]

    @property
    def name(self) -> str:
        return f"{self.environment} {self.doors[0].name}"


def compare(env: Environment, target: DoorLike) -> Compared:
    """Hold a database against each door of the system, in all its environments.

    A rehearsal asks nothing outside: there, other environments are compared by their address alone.

    Args:
        env: where.
        target: the door to the database.

    Raises:
        SourceError: the target itself has no address, or cannot be asked.
    """
    known, unread = _known(env)
    if address(parameters(target)) in known:
        return Compared(same=True)
    asked = [one for one in known.values() if SANDBOX not in {env.name} - {one.environment}]
    with ThreadPoolExecutor(len(asked) + 1) as beside:
        own = beside.submit(_identity, target)
        answers = list(beside.map(_asked, asked))
        mine = own.result()
    unseen = [
        f"{one.name}: {said}" for one, said in zip(asked, answers, strict=True) if isinstance(said, str)
    ]
    if unread and not any(one.environment == env.name for one in asked):
        unseen.append(f"no address of {env.name} is on this machine")
    same = any(mine.is_that(one) for one in answers if isinstance(one, Identity))
    return Compared(same, tuple(unseen), unread)


def address(given: Mapping[str, str]) -> Address:
    """Return where parameters of a connection lead, written in one way: host, port, database."""
    host = (given.get("host") or given.get("hostaddr") or "").lower().rstrip(".")
    host = _SAME[-1] if host in _SAME else host
    return host, given.get("port") or "5432", given.get("dbname") or given.get("user", "")


def _known(env: Environment) -> tuple[dict[Address, _Known], tuple[str, ...]]:
    """Return the doors of all environments by their address, and those whose address is not here."""
    found: dict[Address, _Known] = {}
    unread = []
    for name in env.system.environment_names:
        one = env if name == env.name else env.system.environment(name)
        for door in filter(None, (*one.doors, one.backup, one.operator)):
            try:
                at = address(parameters(door))
            except SourceError:
                unread.append(f"{name} {door.name}")
                continue
            before = found.get(at, _Known(name, ()))
            found[at] = _Known(before.environment, (*before.doors, door))
    return found, tuple(dict.fromkeys(unread))


def _asked(known: _Known) -> Identity | str:
    """Return which database a known address leads to, or why nobody knows."""
    why = ""
    for door in known.doors:
        try:
            return _identity(door)
        except SourceError as error:
            why = why or error.message
    return why


def _identity(door: DoorLike) -> Identity:
    with closing(Database([door], application_name=_NAME)) as database:
        facts = database.facts
        try:
            row = database.table("database_identity").iloc[0]
            cluster = (str(row["system_identifier"]), int(row["database_oid"]))
        except Forbidden:  # some vendors have taken the right away
            cluster = None
    return Identity(cluster, (str(facts["started_at"]), str(facts["database"])))
