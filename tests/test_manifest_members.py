"""What belongs to an extension: a dump has little of it, and what it lacks is told before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from opslib.backup import comparing
from opslib.backup.comparing import Difference
from opslib.checks import backups
from opslib.config import Door, Secret
from opslib.pg import whole
from opslib.verdict import Finding, Status
from tests import majors
from tests.restored import NAME, drilled, held, make, server

# As pgmq does with each queue, and as pg_cron does with its jobs.
MEMBERS = """
create extension hstore;
create table queue (id int); insert into queue select generate_series(1, 500);
create unlogged table answers (id int); insert into answers values (1);
create table nothing (id int);
create table job (id int); insert into job values (1);
alter table job enable row level security; create policy own on job using (id = 0);
alter extension hstore add table queue; alter extension hstore add table answers;
alter extension hstore add table nothing; alter extension hstore add table job;
update pg_extension set extconfig = array['job'::regclass::oid], extcondition = array['']
  where extname = 'hstore';
create table plain (id int); insert into plain values (1);
create role reads_all login password 'reads_all' in role pg_read_all_data
"""


def readable(door: Door) -> list[Finding]:
    """Return what is said before a backup is taken."""
    with whole.frozen(door, NAME) as view:
        return backups.readable(view.table("backup_tables"))


@pytest.mark.parametrize("major", majors.folders())
def test_a_table_that_was_added_to_an_extension_is_missed_before_a_backup_and_after_a_drill(
    major: str, tmp_path: Path
) -> None:
    """No dump has it; rows that the extension wants dumped are asked for as those of any other table."""
    with server(major) as door:
        make(door, MEMBERS)
        dsn = psycopg.conninfo.make_conninfo(door.dsn.reveal(), user="reads_all", password="reads_all")
        hidden = readable(Door("backup", Secret.literal("test", dsn), False))
        (left,) = readable(door)
        make(door, "alter extension hstore drop table job; drop table job")
        made = drilled(door, tmp_path, major)
    assert [(one.subject, one.cause) for one in hidden] == [
        ("public.job", backups.HIDDEN), ("public.queue", backups.INCOMPLETE)
    ]  # fmt: skip
    assert (left.subject, left.status) == ("public.queue", Status.WARNING)
    lost = ["answers", "nothing", "queue"]
    assert [one.name for one in made.differences] == [f"extension table public.{name}" for name in lost]
    assert all(map(comparing.grave, made.differences))


def test_another_version_of_an_extension_may_be_made_of_other_tables() -> None:
    """Only of the same version is a table known to be lost; what came in addition is no loss."""
    with server() as door:
        make(
            door,
            "create extension hstore; create table queue (id int); alter extension hstore add table queue",
        )
        was = held(door)
    name = "extension table public.queue"
    without = {one: said for one, said in was.objects.items() if one != name}
    version = was.extensions["hstore"]
    lost = Difference("object", name, f"of hstore {version}", "not there")
    assert comparing.differences(was, replace(was, objects=without)) == [lost]
    newer = replace(was, objects=without, extensions={**was.extensions, "hstore": "9.9"})
    assert replace(lost, part=comparing.UNSEEN) in comparing.differences(was, newer)
    assert not [*filter(comparing.grave, comparing.differences(was, newer))]
    assert comparing.differences(replace(was, objects=without), was) == []
