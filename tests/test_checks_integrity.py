"""Rows that are no longer true: what is found, what is left out, what cannot be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from opslib import config
from opslib.checks import integrity, integrity_look
from opslib.config import Limit
from opslib.config.parts import Table
from opslib.pg import Database
from opslib.run.sources import DatabaseSource
from opslib.sandbox import control
from opslib.verdict import Finding, Status
from tests.answers import REFUSED, administrator, answer, causes, statuses, stranger, unanswered

SYSTEM = "kulti"
PCT = Limit(warning=70, critical=90, unit="%")
MANY, ALL = 1_000_000, 10_000
KEY: dict[str, Any] = {
    "schema": "public", "table_name": "credits", "constraint_name": "fk", "columns": ["user_id"],
    "parent_schema": "public", "parent": "users", "parent_columns": ["id"], "rows_estimate": 10,
    "readable": True, "filtered": False, "period": False, "heirs": [], "parent_heirs": [],
}  # fmt: skip
Ask = DatabaseSource | Database


@pytest.fixture
def asked(sandbox: object) -> Iterator[DatabaseSource]:
    """A rehearsed system's database, as a notebook meets it."""
    source = DatabaseSource(
        config.load_system(SYSTEM).environment("sandbox"), "opslib/tests", lambda call: None
    )
    yield source
    source.close()


def judged(asked: Ask, rows: int = MANY, megabytes: int = ALL) -> list[Finding]:
    """Return every finding about a real database."""
    keys = asked.table("foreign_keys", skip_schemas=[])
    named = asked.table("btree_indexes", skip_schemas=[])
    return [
        *integrity.constraints(asked.table("constraints_unproven", skip_schemas=[])),
        *integrity.orphans(integrity_look.orphans(asked, keys, rows)),
        *integrity.duplicates(integrity_look.duplicates(asked, config.load_system(SYSTEM).tables, rows)),
        *integrity.sequences(asked.table("sequences", skip_schemas=[]), PCT),
        *integrity.indexes(integrity_look.indexes(asked, asked.table("amcheck"), named, megabytes)),
    ]


def bad(found: list[Finding]) -> list[Finding]:
    """Return what is not well."""
    return [finding for finding in found if finding.status is not Status.OK]


def test_a_sound_database_is_found_sound(asked: DatabaseSource) -> None:
    """Every foreign key, key, sequence and index was looked at."""
    found = judged(asked)
    assert statuses(found) == {Status.OK}
    assert {finding.check for finding in found} == {
        "constraints", "orphan rows", "duplicates", "sequences", "index order",
    }  # fmt: skip


@pytest.mark.parametrize(
    "scenario, subject, seen",
    [
        ("orphan-rows", "public.login_attempts.login_attempts_user_id_fkey", "4 rows"),
        ("duplicate-rows", "credit_transactions", "6 rows of the same key"),
        ("sequence-near-end", "login_attempts.id", "95 %"),
        ("index-damaged", "public.price_list_idx", "damaged"),
    ],
)
def test_what_is_no_longer_true_is_named(
    asked: DatabaseSource, scenario: str, subject: str, seen: str
) -> None:
    """Where it is, and how much of it; healed, it is gone."""
    control.break_(scenario, SYSTEM)
    (found,) = bad(judged(asked))
    assert (found.subject, found.observed) == (subject, seen)
    assert causes([found]) == {scenario}
    control.heal(scenario)
    assert bad(judged(asked)) == []


def test_a_key_of_several_columns_is_followed_whole(asked: DatabaseSource) -> None:
    """And a reference with a NULL in it leads nowhere on purpose."""
    with administrator(SYSTEM) as admin:
        admin.execute("create table parts (a integer, b text, primary key (a, b))")
        admin.execute('create table "Used Parts" (a integer, b text, foreign key (a, b) references parts)')
        try:
            admin.execute("insert into parts values (1, 'x'), (2, 'y')")
            admin.execute("set session_replication_role = replica")
            admin.execute("""insert into "Used Parts" values (1, 'x'), (1, 'y'), (null, 'z')""")
            found = [f for f in judged(asked) if "Used Parts" in f.subject]
        finally:
            admin.execute('drop table "Used Parts", parts')
    assert [(f.status, f.observed) for f in found] == [(Status.WARNING, "1 row")]


def test_constraints_that_hold_for_new_rows_only_or_for_none_are_named(asked: DatabaseSource) -> None:
    """Neither is known to hold."""
    with administrator(SYSTEM) as admin:
        admin.execute("create table chores (id integer, parent integer, unique (id))")
        try:
            admin.execute(
                "alter table chores add foreign key (parent) references chores (id),"
                " add constraint positive check (id > 0) not valid"
            )
            admin.execute("alter table chores disable trigger all")
            found = bad(judged(asked))
        finally:
            admin.execute("drop table chores")
    assert {f.subject.rpartition(".")[2]: f.observed for f in found} == {
        "positive": "check, not valid", "chores_parent_fkey": "switched off",
    }  # fmt: skip


def orphans_of(asked: DatabaseSource, *statements: str) -> list[Finding]:
    """Return what is said of references in a schema of its own."""
    with administrator(SYSTEM) as admin:
        admin.execute(
            "create schema parcels; grant usage on schema parcels to public; set search_path = parcels"
        )
        try:
            for statement in statements:
                admin.execute(statement.encode())
            keys = asked.table("foreign_keys", skip_schemas=["public", "auth"])
            return integrity.orphans(integrity_look.orphans(asked, keys, MANY))
        finally:
            admin.execute("drop schema parcels cascade")


def test_a_table_that_merely_inherits_keeps_no_reference_and_is_none(asked: DatabaseSource) -> None:
    """No foreign key covers its rows, on either side; partitions are covered."""
    (found,) = orphans_of(
        asked,
        "create table rooms (id integer primary key); create table halls () inherits (rooms)",
        "create table uses (room integer references rooms); create table plans () inherits (uses)",
        "insert into rooms values (1); insert into halls values (2)",
        "insert into uses values (1); insert into plans values (99)",
    )
    assert found.status is Status.OK, found
    (found,) = orphans_of(
        asked,
        "create table rooms (id integer primary key) partition by list (id)",
        "create table rooms_1 partition of rooms for values in (1)",
        "create table uses (room integer references rooms) partition by list (room)",
        "create table uses_1 partition of uses for values in (1)",
        "create table uses_2 partition of uses default",
        "insert into rooms values (1); set session_replication_role = replica",
        "insert into uses values (1), (2)",
    )
    assert (found.subject, found.observed) == ("parcels.uses.uses_room_fkey", "1 row")
    (found,) = orphans_of(
        asked,
        "create table rooms (id integer primary key); create table halls () inherits (rooms)",
        "create table uses (room integer references rooms); insert into halls values (2)",
        "set session_replication_role = replica; insert into uses values (2)",
    )
    assert (found.subject, found.observed) == ("parcels.uses.uses_room_fkey", "1 row")


def test_a_reference_to_a_period_is_left_out_and_said(asked: DatabaseSource) -> None:
    """It asks for rows that together cover a time, and not for one that is the same."""
    if not serves(18):
        pytest.skip("no such keys before 18")
    (found,) = orphans_of(
        asked,
        "create table rooms (id int4range, held daterange, primary key (id, held without overlaps))",
        "create table uses (room int4range, held daterange,"
        " foreign key (room, period held) references rooms (id, period held))",
        "insert into rooms values ('[1,1]', '[2026-01-01,2027-01-01)')",
        "insert into uses values ('[1,1]', '[2026-03-01,2026-03-05)')",
    )
    assert found.status is Status.SKIPPED and "period" in found.why


def serves(major: int) -> bool:
    """Tell whether the server is of that version or a later one."""
    with administrator(SYSTEM) as admin:
        return admin.info.server_version // 10_000 >= major


@pytest.mark.parametrize("off", ["chores_1", "chores"])
def test_a_constraint_that_is_off_on_a_partition_is_named_once(asked: DatabaseSource, off: str) -> None:
    """What is off for the whole table is said of that; what is off for a part, of the part alone."""
    with administrator(SYSTEM) as admin:
        admin.execute("create table parents (id integer primary key)")
        try:
            admin.execute("create table chores (parent int references parents) partition by list (parent)")
            admin.execute("create table chores_1 partition of chores for values in (1)")
            admin.execute(f"alter table {off} disable trigger all".encode())
            (found,) = bad(integrity.constraints(asked.table("constraints_unproven", skip_schemas=[])))
        finally:
            admin.execute("drop table chores, parents")
    assert found.subject == f"public.{off}.chores_parent_fkey" and found.observed == "switched off"


def test_tables_and_indexes_beyond_the_bounds_are_left_out_and_said(asked: DatabaseSource) -> None:
    """Nobody's large table is scanned by surprise."""
    found = [f for f in judged(asked, rows=0, megabytes=0) if f.check not in ("constraints", "sequences")]
    assert statuses(found) == {Status.SKIPPED}
    assert all("raise most_" in finding.why for finding in found)


def test_a_plain_member_of_pg_monitor_is_told_what_it_may_not_see(sandbox: object) -> None:
    """Rows and sequences are unknown; the order of indexes is skipped with what to grant."""
    with stranger(SYSTEM, "pg_monitor") as asked:
        keys = asked.table("foreign_keys", skip_schemas=[])
        orphans = integrity.orphans(integrity_look.orphans(asked, keys, MANY))
        sequences = integrity.sequences(asked.table("sequences", skip_schemas=[]), PCT)
        looks = integrity_look.indexes(
            asked, asked.table("amcheck"), asked.table("btree_indexes", skip_schemas=[]), ALL
        )
    assert statuses([*orphans, *sequences]) == {Status.UNKNOWN}
    assert "grant select" in orphans[0].why
    (order,) = integrity.indexes(looks)
    assert (
        order.status is Status.SKIPPED and "grant execute on function extensions.bt_index_check" in order.why
    )


def test_rows_behind_row_security_are_unknown_and_no_orphans(sandbox: object) -> None:
    """Users that are hidden from us are not missing."""
    with stranger(SYSTEM, "pg_monitor", "pg_read_all_data") as asked:
        keys = asked.table("foreign_keys", skip_schemas=[])
        found = integrity.orphans(integrity_look.orphans(asked, keys, MANY))
    assert statuses(found) == {Status.UNKNOWN}
    assert all("bypassrls" in finding.why for finding in found)


def test_rows_behind_row_security_are_unknown_and_no_single_ones(sandbox: object) -> None:
    """Of two rows that are the same we may see one, or none."""
    with stranger(SYSTEM, "pg_monitor", "pg_read_all_data") as asked:
        looks = integrity_look.duplicates(asked, config.load_system(SYSTEM).tables, MANY)
    (found,) = integrity.duplicates(looks)
    assert found.status is Status.UNKNOWN and "bypassrls" in found.why


@pytest.mark.parametrize(
    "changed, status",
    [
        ({"used_pct": 69.0}, Status.OK),
        ({"used_pct": 70.0}, Status.WARNING),
        ({"used_pct": 90.0}, Status.CRITICAL),
        ({"used_pct": 99.0, "cycles": True}, Status.OK),
        ({"readable": False}, Status.UNKNOWN),
    ],
)
def test_a_sequence_is_judged_by_what_is_left(changed: dict[str, Any], status: Status) -> None:
    """One that begins again never ends; one that is hidden is not known."""
    row = {"sequence": "s", "used_pct": 1.0, "cycles": False, "readable": True}
    assert statuses(integrity.sequences(answer("sequences", row | changed), PCT)) == {status}


def test_an_integer_column_ends_before_its_sequence(asked: DatabaseSource) -> None:
    """The sequence of a bigint under an integer column looks empty, and is not."""
    with administrator(SYSTEM) as admin:
        admin.execute("create sequence counter; create table counted (id integer default nextval('counter'))")
        admin.execute("alter sequence counter owned by counted.id; select setval('counter', 2000000000)")
        try:
            (found,) = bad(integrity.sequences(asked.table("sequences", skip_schemas=[]), PCT))
        finally:
            admin.execute("drop table counted")
    assert (found.subject, found.status) == ("counted.id", Status.CRITICAL)


@pytest.mark.parametrize("kind", ["integer", "narrower"])
def test_a_column_that_only_takes_its_numbers_from_a_sequence_ends_as_soon(
    asked: DatabaseSource, kind: str
) -> None:
    """Nobody owns the sequence, and a domain holds no more than its type."""
    with administrator(SYSTEM) as admin:
        admin.execute("create domain narrow as integer; create domain narrower as narrow")
        admin.execute("create sequence counter; select setval('counter', 2000000000)")
        admin.execute(f"create table counted (id {kind} default nextval('counter'))".encode())
        try:
            (found,) = bad(integrity.sequences(asked.table("sequences", skip_schemas=[]), PCT))
        finally:
            admin.execute("drop table counted; drop sequence counter; drop domain narrower, narrow")
    assert (found.subject, found.status) == ("counted.id", Status.CRITICAL)


class Nobody:
    """A database that lets nobody look."""

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Return why there is no answer."""
        return unanswered(name)


@pytest.mark.parametrize(
    "judge",
    [
        lambda: integrity.constraints(unanswered("constraints_unproven")),
        lambda: integrity.orphans(integrity_look.orphans(Nobody(), unanswered("foreign_keys"), 1)),
        lambda: integrity.orphans(integrity_look.orphans(Nobody(), answer("foreign_keys", KEY), 11)),
        lambda: integrity.duplicates(
            integrity_look.duplicates(Nobody(), {"t": Table(what="t", business_key=("a",))}, 1)
        ),
        lambda: integrity.sequences(unanswered("sequences"), PCT),
        lambda: integrity.indexes(
            integrity_look.indexes(Nobody(), unanswered("amcheck"), answer("btree_indexes"), 1)
        ),
        lambda: integrity.indexes(
            integrity_look.indexes(
                Nobody(),
                answer("amcheck", {"available": True, "schema": "extensions", "allowed": True}),
                answer("btree_indexes", {"schema": "s", "index_name": "i", "number": 1, "bytes": 0}),
                1,
            )
        ),
    ],
)
def test_what_could_not_be_asked_is_unknown_with_the_reason(judge: Callable[[], list[Finding]]) -> None:
    """A shut door is no clean bill."""
    found = judge()
    assert statuses(found) == {Status.UNKNOWN}
    assert {finding.why for finding in found} == {REFUSED}


@pytest.mark.parametrize("available, words", [(True, "create extension amcheck"), (False, "not to be had")])
def test_without_amcheck_the_order_of_indexes_is_skipped(available: bool, words: str) -> None:
    """As on platforms that do not offer it."""
    here = answer("amcheck", {"available": available, "allowed": False})
    (found,) = integrity.indexes(integrity_look.indexes(Nobody(), here, answer("btree_indexes"), 1))
    assert found.status is Status.SKIPPED and words in found.why


def test_a_declared_table_that_is_not_there_is_unknown(asked: DatabaseSource) -> None:
    """A slip in the file must not look like a clean table."""
    tables = {"ledgr": Table(what="t", business_key=("a",)), "users": Table(what="t", business_key=("nme",))}
    missing, column = integrity.duplicates(integrity_look.duplicates(asked, tables, MANY))
    assert (missing.status, column.status) == (Status.UNKNOWN, Status.UNKNOWN)
    assert "no such table" in missing.why and "nme" in column.why


def test_without_a_declared_key_duplicates_are_skipped() -> None:
    """Said, and not passed over."""
    (found,) = integrity.duplicates(integrity_look.duplicates(Nobody(), {}, 1))
    assert found.status is Status.SKIPPED and "business_key" in found.why
