"""What a file of people's own sets for the session ends with the file."""

from __future__ import annotations

from contextlib import closing

import psycopg

from opslib.acts import Opening, Statement
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.pg import Database
from opslib.sandbox.databases import Databases

SYSTEM = "kulti"
FILE = "set lock_timeout = 0; set default_transaction_read_only = off; set search_path = nowhere"
NOTED = {"table": ["public", "notes"], "key": "name", "time": "applied_at", "version": "001"}


def test_the_next_file_inherits_no_setting_and_the_lock_is_kept() -> None:
    """`pg_dump` begins its files with `set lock_timeout = 0`: everybody would queue behind the next one."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        with databases.admin(SYSTEM) as admin:
            admin.execute(b"create table notes (name text primary key, applied_at timestamptz)")
            admin.execute(f"alter table notes owner to app_{SYSTEM}".encode())
        door = Door("operator", Secret.literal("test", databases.dsn(SYSTEM, "operator")), False)
        with closing(Database([door], application_name="opslib/test/1")) as database, database.lock("notes"):
            act = Statement("note_migration_name", NOTED, FILE, "001.sql", f"app_{SYSTEM}")
            before = _locks(databases)
            database.act(Opening(act, "first"))
            assert _locks(databases) == before
            again = Statement("note_migration_name", {**NOTED, "version": "002"}, _STOPS, "002.sql", act.role)
            assert len(database.act(Opening(again, "second"))) == 1


SEEN = "insert into public.seen values (current_setting('search_path'), current_setting('timezone'))"
# Each of these goes before the one above it; the operator's own settings are nobody else's.
PLACES = (
    "alter role opslib_operator set search_path = mine",
    "alter role all set search_path = everybody; alter role all set timezone = 'Asia/Tokyo'",
    "alter role opslib_operator set timezone = 'Etc/GMT+9'",
    "alter database kulti set search_path = a_base; alter database kulti set timezone = 'Europe/Berlin'",
    "alter role app_kulti set search_path = 'An app', public",
    "alter role app_kulti set timezone = 'America/New_York'",
    """alter role app_kulti in database kulti set search_path = "$user", here""",
    "alter role app_kulti in database postgres set timezone = 'Asia/Kolkata'",
)


def test_a_file_begins_with_what_a_login_of_its_role_begins_with() -> None:
    """Wherever that is set: else tables land in another schema, and times are shifted for good."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        with databases.admin(SYSTEM) as admin:
            admin.execute(b"create table notes (name text primary key, applied_at timestamp)")
            admin.execute(b"create table seen (search_path text, timezone text)")
            admin.execute(f"alter table notes owner to app_{SYSTEM}".encode())
            admin.execute(f"alter table seen owner to app_{SYSTEM}".encode())
        for n, place in enumerate(PLACES):
            with databases.admin(SYSTEM) as admin:
                admin.execute(place.encode())
            assert _seen(databases, str(n)) == _begun(databases), place
        with databases.admin(SYSTEM) as admin:
            noted = b"select bool_and(now() at time zone 'UTC' - applied_at < '1 hour') from public.notes"
            assert admin.execute(noted).fetchone() == (True,), "the note is in UTC, as ever"


def _begun(databases: Databases) -> tuple[str, str]:
    """Return what a login of the app begins with."""
    with psycopg.connect(databases.dsn(SYSTEM, "app")) as login:
        found = login.execute("select current_setting('search_path'), current_setting('timezone')").fetchone()
    assert found
    return str(found[0]), str(found[1])


def _seen(databases: Databases, version: str) -> tuple[str, str]:
    """Return what a file begins with that is run as the app."""
    door = Door("operator", Secret.literal("test", databases.dsn(SYSTEM, "operator")), False)
    note = {**NOTED, "version": version}
    with closing(Database([door], application_name="opslib/test/1")) as database, database.lock("notes"):
        act = Statement("note_migration_name", note, SEEN, "001.sql", f"app_{SYSTEM}")
        database.act(Opening(act, version))
    with databases.admin(SYSTEM) as admin:
        found = admin.execute(b"delete from public.seen returning search_path, timezone").fetchone()
    assert found
    return str(found[0]), str(found[1])


# Fails where the file before it has left its settings behind.
_STOPS = """do $$ begin
  if current_setting('lock_timeout') <> '2s' then raise exception 'inherited'; end if; end $$"""


def _locks(databases: Databases) -> int:
    """Return how many locks of the gate are held."""
    with databases.admin(SYSTEM) as admin:
        held = admin.execute(b"select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    return int(held[0]) if held else 0
