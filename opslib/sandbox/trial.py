"""Pending migrations, tried on a copy of the tables without rows, on a server that is made for it.

The copy is all that is ever written to: its door is made here, no other one gets near a file, and from the
copy none leads on. The server, the copy and the dump go when the trial ends, however it ends: a watchdog
sees to that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opslib.acts import Statement
from opslib.backup import tools
from opslib.errors import OpsError, SandboxError
from opslib.pg import script, sql, whole
from opslib.pg.connect import DoorLike
from opslib.pg.relations import written
from opslib.sandbox import trial_copy
from opslib.sandbox.scratch import scratch

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection

_TABLES = """select c.oid, n.nspname, c.relname, pg_relation_filenode(c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and not starts_with(n.nspname, 'pg_')
and n.nspname <> 'information_schema'"""
_HELD = "select relation from pg_locks where pid = pg_backend_pid() and granted and mode = any(%s)"
# Nobody writes a materialized view.
_SCANS = """select s.relid, s.seq_scan
from pg_catalog.pg_stat_xact_all_tables s join pg_catalog.pg_class c on c.oid = s.relid
where c.relkind <> 'm'"""
# A foreign key that is checked as it is made is one join of both tables. As a loop it begins with the table
# that has the key, which is read whole wherever it is, and looks up the other one for rows, of which there
# are none here. Other joins may begin with either.
_OPTIONS = "-c default_transaction_read_only=off -c enable_hashjoin=off -c enable_mergejoin=off"
_SHUT = ["AccessExclusiveLock"]
_UNWRITABLE = ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock"]
_ROWS = ["RowShareLock", "RowExclusiveLock"]
NOTED = "it notes itself in the ledger, or is noted there already"
# A failure of these kinds may be the copy's fault: it has no rows, rights to tables alone, and no way out.
_OUT = "other servers are out of reach of the copy"
_DOUBT = {
    "23503": "the rows that it refers to are not copied",
    "23502": "the rows that it would take a value from are not copied",
    "P0001": "the rows that it may have looked for are not copied",
    "P0004": "the rows that it may have looked for are not copied",
    "P0002": "the rows that it looks for are not copied",
    "3D000": "other databases are not copied",
    "42501": "of the rights of roles only those to tables are copied",
}
_DOUBT_OF_CLASS = {"08": _OUT, "HV": _OUT}
_DOUBT_OF_WORDS = {
    r"foreign-data wrapper .* has no handler": _OUT,
    r"unrecognized configuration parameter": "what the login would begin with may be set for its role alone",
    r"(tablespace|subscription) .* does not exist": "tablespaces and subscriptions are not copied",
    r"security label provider .* is not loaded": "what a server loads as it starts is not there",
    r"user mapping .* does not exist": "passwords for other servers are not copied",
    r"option .* not found": "the addresses of other servers are not copied",
}
Tables = dict[int, tuple[str, int | None]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """What came of one file. Tables that files have made are in no list: nobody waits for them yet.

    Args:
        file: what it is called.
        ms: how long it took without rows.
        shut: tables that nobody reads or writes until it ends.
        unwritable: tables that nobody writes until it ends.
        scanned: those of both that are read whole meanwhile, and not written anew.
        swept: other tables that are read whole, and of which rows are locked or changed meanwhile.
        rewritten: tables whose rows are all written anew.
        error: why it failed, or nothing.
        doubt: why it may fail, or run, on the copy only; or nothing.
    """

    file: str
    ms: float
    shut: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    error: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Trial:
    """What came of all of them.

    Args:
        files: those that were tried: all, or up to the first that failed.
        lacking: what could not be copied, or nothing.
    """

    files: tuple[Tried, ...]
    lacking: str = ""


def trial(
    source: DoorLike, acts: Sequence[Statement], ledger: Sequence[str], say: Say = lambda text: None
) -> Trial:
    """Try files in order, each as it would be applied, with its note.

    Args:
        source: a way to the server itself, as a role that may read every table; it is only read.
        acts: the files and their notes.
        ledger: schema and name of the table with the notes, whose rows are copied too.
        say: told how far it is.

    Raises:
        SourceError: the tables cannot be copied.
        Refused: no client programs fit the server.
        SandboxError: no server fits, or it did not start.
    """
    import psycopg

    with whole.frozen(source, trial_copy.NAME) as view:
        major = view.major
        roles = dict(view.table("roles")[["role", "superuser"]].itertuples(index=False, name=None))
        name, owner = view.table("rehearsal_facts")[["name", "owner"]].iloc[0]
        begins = view.table("rehearsal_settings")
        settings = {act.role: _settings(view, act.role) for act in acts}
    used = tools.find(major, remote=tools.over_network(source))
    say("starting a server for the rehearsal")
    everybody = {role for role in roles if not role.startswith("pg_")} | {owner, *settings}
    facts = trial_copy.Facts(
        superusers=sorted(role for role in everybody if roles.get(role)), roles=list(settings),
        settings=dict(zip(begins["name"], begins["value"], strict=True)),
    )  # fmt: skip
    try:
        who = trial_copy.superuser()
        with scratch(major, sorted(everybody), owner=owner, database=name, superuser=who) as made:
            say("copying the tables without their rows")
            copy = trial_copy.copied(used, source, made, ledger, facts)
            found = _tried(copy.door, acts, settings, say)
    except psycopg.Error as error:
        raise SandboxError(f"the copy could not be made: {error}") from None
    return _weighed(found, copy, major)


def _weighed(found: Sequence[Tried], copy: trial_copy.Copy, major: int) -> Trial:
    """Say of each file why the copy may be at fault: for what it lacks, or for what it has beside."""
    other = f"it was tried on {copy.major}, and this is {major}" if copy.major != major else ""
    lacking = "; ".join(filter(None, (other, copy.lacking)))
    weighed = (
        replace(one, doubt=lacking or one.doubt) if one.error else replace(one, doubt=other) for one in found
    )
    return Trial(tuple(weighed), lacking)


def _settings(view: whole.Frozen, role: str) -> dict[str, str]:
    """Return what a login of a role begins with where the tables are: the copy has no such settings."""
    found = view.table("login_settings", role=role)
    return dict(zip(found["name"], found["value"], strict=True))


def _tried(
    copy: DoorLike, acts: Sequence[Statement], settings: Mapping[str, Mapping[str, str]], say: Say
) -> list[Tried]:
    import psycopg

    found: list[Tried] = []
    with closing(psycopg.connect(copy.dsn.reveal(), autocommit=True, options=_OPTIONS)) as connection:
        known = {oid: name for oid, (name, _) in _tables(connection).items()}
        for act in acts:
            say(f"trying {act.script_name}")
            found.append(_one(connection, act, settings[act.role], known))
            if found[-1].error:
                break
            script.forget(connection)
    return found


def _one(
    connection: Connection, act: Statement, settings: Mapping[str, str], names: Mapping[int, str]
) -> Tried:
    """Try a file; `names` are the tables that are there without any file, by what they are called there."""
    import psycopg

    begun = time.monotonic()
    before = {oid: (names[oid], node) for oid, (_, node) in _tables(connection).items() if oid in names}
    held: list[tuple[str, ...]] = [(), (), ()]
    scanned: set[str] = set()
    error = doubt = ""
    try:
        with connection.transaction():
            known = _scans(connection)
            script.run(connection, act.script, act.role, settings)
            held = [_held(connection, modes, before) for modes in (_SHUT, _UNWRITABLE, _ROWS)]
            scans = _scans(connection)
            scanned = {before[oid][0] for oid in before if scans.get(oid, 0) > known.get(oid, 0)}
            error = _noted(connection, act)
    except psycopg.Error as failed:
        error, doubt = str(failed).partition("\n")[0], _doubt(failed)
    except OpsError as failed:
        error = failed.message
    ms = round((time.monotonic() - begun) * 1000, 1)
    after = _tables(connection)
    anew = sorted(name for oid, (name, node) in before.items() if after.get(oid, ("", node))[1] != node)
    shut, unwritable, rows = held
    open_ = tuple(name for name in unwritable if name not in shut)
    scanned.difference_update(anew)
    read = tuple(name for name in sorted({*shut, *open_}) if name in scanned)
    swept = tuple(name for name in rows if name in scanned.difference(read))
    return Tried(act.script_name, ms, shut, open_, read, swept, tuple(anew), error, doubt)


def _doubt(failed: psycopg.Error) -> str:
    """Return why a failure may be the copy's fault, or nothing."""
    state = failed.sqlstate or ""
    worded = (why for words, why in _DOUBT_OF_WORDS.items() if re.match(words, str(failed)))
    return _DOUBT.get(state) or _DOUBT_OF_CLASS.get(state[:2]) or next(worded, "")


def _noted(connection: Connection, act: Statement) -> str:
    """Note a file in the copy's ledger; return why that would not work, or nothing."""
    if not act.name:
        return ""
    text, bound = sql.load(act.name).filled(connection.info.server_version // 10000, act.params)
    return "" if len(connection.execute(text.encode(), bound).fetchall()) == 1 else NOTED


def _tables(connection: Connection) -> Tables:
    rows = connection.execute(_TABLES.encode()).fetchall()
    return {oid: (written(schema, name), node) for oid, schema, name, node in rows}


def _scans(connection: Connection) -> dict[int, int]:
    """Return how often each table was read whole; of earlier files, too, which are not reported at once."""
    return dict(connection.execute(_SCANS.encode()).fetchall())


def _held(connection: Connection, modes: list[str], before: Tables) -> tuple[str, ...]:
    """Return the tables that were there before and that this transaction has locked in one of these ways."""
    rows = connection.execute(_HELD, [modes]).fetchall()
    return tuple(sorted({before[oid][0] for (oid,) in rows if oid in before}))
