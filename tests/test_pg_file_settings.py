"""What a file of people's own sets for the session ends with the file."""

from __future__ import annotations

from contextlib import closing

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


# Fails where the file before it has left its settings behind.
_STOPS = """do $$ begin
  if current_setting('lock_timeout') <> '2s' then raise exception 'inherited'; end if; end $$"""


def _locks(databases: Databases) -> int:
    """Return how many locks of the gate are held."""
    with databases.admin(SYSTEM) as admin:
        held = admin.execute(b"select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    return int(held[0]) if held else 0
