"""The copy that files are tried on: without rows, without a way out, and with nobody on it who may leave it.

A superuser makes the copy. The files are run by a login of its own, which has the rights of the ledger's
owner and no more: no role of the server itself is a superuser here, whatever it is there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opslib.backup import tools
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SourceError, Unreachable
from opslib.pg import whole
from opslib.pg.connect import DoorLike, parameters
from opslib.pg.relations import written

if TYPE_CHECKING:
    from psycopg import Connection

NAME = "opslib/rehearsal"
_WITHOUT = ("--no-subscriptions", "--no-security-labels", "--no-tablespaces")
# How pg_restore lists what a dump holds. Passwords stay in it; event triggers would run as the superuser.
_LISTED = rb"\d+; \d+ \d+ (?:[A-Z ]+ - )?%s "
_NEVER = re.compile(_LISTED % rb"(?:USER MAPPING|SUBSCRIPTION)")
_LAST = re.compile(_LISTED % rb"EVENT TRIGGER")
OUT_OF_REACH = "HV000"  # the class of errors of foreign data
_INSTEAD = f"""begin raise exception using errcode = '{OUT_OF_REACH}',
message = 'other servers and programs are out of reach of the copy'; end"""
_SEALED = (
    # Foreign tables stay, as views and files name them, but nothing answers for them.
    "delete from pg_catalog.pg_user_mapping",
    "update pg_catalog.pg_foreign_server set srvoptions = null",
    "update pg_catalog.pg_foreign_data_wrapper set fdwhandler = 0, fdwoptions = null",
    # Functions that reach other servers by themselves, and those in languages that may do anything.
    f"""update pg_catalog.pg_proc p
    set prolang = (select oid from pg_catalog.pg_language where lanname = 'plpgsql'),
        prosrc = $instead${_INSTEAD}$instead$, probin = null
    from pg_catalog.pg_language l where l.oid = p.prolang
    and (l.lanispl and not l.lanpltrusted
         or l.lanname = 'c' and p.probin ~ '(^|/)(dblink|http)(\\.[a-z]+)?$')""",
    # Nothing runs with the rights of the superuser, and what only one may call is called by no other.
    """update pg_catalog.pg_proc set prosecdef = false
    where prosecdef and proowner in (select oid from pg_catalog.pg_roles where rolsuper)""",
    """update pg_catalog.pg_proc p set proacl = i.initprivs from pg_catalog.pg_init_privs i
    where i.objoid = p.oid and i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and i.objsubid = 0""",
    # Materialized views are empty as tables are, and not unfilled, when nothing may read or refresh them. To
    # run what is behind them could reach other servers.
    "update pg_catalog.pg_class set relispopulated = true where relkind = 'm'",
)


_BEGINS = """insert into pg_catalog.pg_db_role_setting (setdatabase, setrole, setconfig)
select oid, 0, %s from pg_catalog.pg_database where datname = pg_catalog.current_database()"""


@dataclass(frozen=True)
class Facts:
    """What the copy must be like beside its tables.

    Args:
        superusers: who is one where the tables are.
        roles: as whom files are run.
        settings: what each login of the database begins with.
    """

    superusers: Collection[str]
    roles: Collection[str]
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Copy:
    """A copy that files may be run on.

    Args:
        door: as a login that may take on the roles of the files.
        lacking: what could not be copied, or nothing.
        major: of its server, which may be newer than the tables'.
    """

    door: Door
    lacking: str
    major: int


def superuser() -> str:
    """Return a name for the superuser of a copy that no role of any server has."""
    return f"opslib_{secrets.token_hex(8)}"


def copied(used: tools.Tools, source: DoorLike, made: DoorLike, ledger: Sequence[str], facts: Facts) -> Copy:
    """Copy all that tables are made of, and the rows of the ledger.

    Args:
        used: the client programs.
        source: the server itself; only read.
        made: the superuser's door to an empty database, with all roles.
        ledger: schema and name of the table with the notes.
        facts: what else it must be like.

    Raises:
        SourceError: the tables cannot be copied.
        psycopg.Error: the copy could not be closed off.
    """
    place = Path(parameters(made)["host"])  # the server's own folder, so that nothing outlives it
    schema, notes = place / "schema.dump", place / "notes.dump"
    asked = ("--format=custom", "--no-password", f"--lock-wait-timeout={whole.LOCK_TIMEOUT_S}s", *_WITHOUT)
    with tools.reaching(source, NAME) as environment:
        tools.run(used, "pg_dump", *asked, "--schema-only", f"--file={schema}", environment=environment)
        rows = ("--data-only", f"--table={written(*ledger)}", f"--file={notes}")
        tools.run(used, "pg_dump", *asked, *rows, environment=environment)
    first, last = _listed(used, schema)
    with _as(made) as admin:
        _promote(admin, facts.superusers, "superuser")  # who else may own what the dump says is theirs?
        lacking = [_restored(used, made, schema, f"--use-list={first}")]
        _promote(admin, facts.superusers, "nosuperuser")
        for text in _SEALED:
            admin.execute(text.encode())
        if facts.settings:
            begins = [f"{name}={value}" for name, value in facts.settings.items()]
            admin.execute(_BEGINS.encode(), [begins])
        door, major = _login(admin, made, facts), admin.info.server_version // 10000
    if wrong := _restored(used, door, notes, f"--role={min(facts.roles)}"):
        raise SourceError(f"the copy is of no use: {lacking[0] or wrong}")
    lacking.append(_restored(used, made, schema, f"--use-list={last}", "--no-owner"))
    return Copy(door, "; ".join(filter(None, lacking)), major)


def _listed(used: tools.Tools, dump: Path) -> tuple[Path, Path]:
    """Write down what of a dump is restored first, and what after everything else."""
    first, last = dump.with_name("first.list"), dump.with_name("last.list")
    tools.run(used, "pg_restore", "--list", f"--file={first}", dump)
    lines = [line for line in first.read_bytes().splitlines() if not _NEVER.match(line)]
    late = [line for line in lines if _LAST.match(line)]
    first.write_bytes(b"\n".join(line for line in lines if line not in late))
    last.write_bytes(b"\n".join(late))
    return first, last


def _restored(used: tools.Tools, door: DoorLike, dump: Path, *words: str) -> str:
    """Restore a dump, and return what went wrong; it goes on behind an error, as far as it can."""
    with tools.reaching(door, NAME, writes=True) as environment:
        into = ("--no-password", f"--dbname=service={environment['PGSERVICE']}")
        try:
            tools.run(used, "pg_restore", *into, *words, dump, environment=environment)
        except Unreachable as error:
            return error.message
    return ""


def _as(door: DoorLike) -> closing[Connection]:
    import psycopg

    return closing(psycopg.connect(door.dsn.reveal(), autocommit=True))


def _promote(admin: Connection, roles: Iterable[str], word: str) -> None:
    from psycopg import sql

    for role in roles:
        admin.execute(sql.SQL("alter role {} " + word).format(sql.Identifier(role)))


def _login(admin: Connection, made: DoorLike, facts: Facts) -> Door:
    """Make the login of the files; one that is a superuser elsewhere has here the rights of all others."""
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    name, password = superuser(), secrets.token_urlsafe(12)
    who = sql.Identifier(name)
    admin.execute(sql.SQL("create role {} login password {}").format(who, sql.Literal(password)))
    for role in facts.roles:
        admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), who))
    others = [] if not {*facts.roles} & {*facts.superusers} else _others(admin, [*facts.roles, name])
    for role in others:
        admin.execute(
            sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(min(facts.roles)))
        )
    address = make_conninfo(made.dsn.reveal(), user=name, password=password)
    return Door(made.name, Secret.literal("scratch", address), False)


def _others(admin: Connection, known: Sequence[str]) -> list[str]:
    asked = b"""select rolname from pg_catalog.pg_roles where not rolsuper and not starts_with(rolname, 'pg_')
    and rolname <> all(%s)"""
    return [role for (role,) in admin.execute(asked, [list(known)])]
