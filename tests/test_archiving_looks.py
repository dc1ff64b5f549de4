"""Looking at both sides of a move takes no longer than it must, whatever the planner knows of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import psycopg
import pytest

from opslib.checks import old_rows_look
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import SourceError, Unreachable
from opslib.pg import Database, cutting, several, sql
from opslib.sandbox.databases import Databases

SYSTEM = "voiceaitraining"
SINCE, CUTOFF = "2020-01-01T00:00:00+00:00", "2020-02-01T00:00:00+00:00"
IDENTITY = {
    "table": ["public", "orders"], "archive": ["public", "orders_old"], "key": ["id"], "time": "at",
    "since": SINCE, "cutoff": CUTOFF, "child": ["public", "lines"], "child_archive": ["public", "lines_old"],
    "child_key": ["id"], "parent_key": "o",
}  # fmt: skip
# Of 3000 orders 1000 are old, and 100 of those have gone already, with their lines: two on each second order.
_MADE = """
create table orders (id bigint primary key, at timestamptz) with (autovacuum_enabled = off);
create table lines (id int primary key, o bigint references orders on delete cascade, note text);
create index on orders (at);
create index on lines (o);
create table orders_old (like orders including all) with (autovacuum_enabled = off);
create table lines_old (like lines including all) with (autovacuum_enabled = off);
insert into orders select n, '2020-01-01'::timestamptz
    + case when n > 1000 then interval '90 days' else n * interval '1 minute' end
  from generate_series(101, 3000) n;
insert into orders_old select n, '2020-01-01'::timestamptz + n * interval '1 minute'
  from generate_series(1, 100) n;
insert into lines select n, n / 2 * 2 from generate_series(102, 2999) n;
insert into lines_old select n, n / 2 * 2 from generate_series(2, 101) n;
insert into lines_old values (9000, 9000);
vacuum analyze orders, lines;
"""
_GONE = """
insert into lines_old select * from lines where o <= 1000;
insert into orders_old select * from orders where id <= 1000;
delete from orders where id <= 1000;
"""
Question = Callable[[Database], None]
_WAITING = b"select from pg_locks where not granted"
_ASLEEP = b"select from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'"
_FILLED = """
insert into orders_old select n, '2020-01-01'::timestamptz + n * interval '1 second'
  from generate_series(10000, 39999) n;
insert into lines_old select n, n, repeat('wide ', 100) from generate_series(10000, 39999) n;
analyze lines_old;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    """A server of this module's own."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        yield databases


@pytest.fixture
def shop(server: Databases) -> Iterator[psycopg.Connection[Any]]:
    """Orders, lines that hang on them, and an archive of each, partly filled."""
    with server.admin(SYSTEM) as connection:
        for statement in _MADE.strip().split(";\n"):
            connection.execute(statement.encode())
        try:
            yield connection
        finally:
            connection.execute(b"drop table orders, lines, orders_old, lines_old")


def entered(server: Databases, told: list[str] | None = None) -> Database:
    """Return the database as a diagnosis enters it; note what it is asked."""
    door = Door("direct", Secret.literal("test", server.dsn(SYSTEM, "monitor")), False)
    note = [] if told is None else told
    return Database([door], application_name="opslib/test/1", on_call=lambda call: note.append(call.what))


def slow(ended: list[str]) -> Question:
    """Return a question that takes half a minute; what ends it is noted."""

    def ask(database: Database) -> None:
        database.table("server_facts")
        assert database._session
        with pytest.raises(SourceError) as error:
            database._session.run("select pg_sleep(30)", {})
        ended.append(error.value.message)

    return ask


def breaking(admin: psycopg.Connection[Any], once: bytes, error: BaseException) -> Question:
    """Return a question that breaks once the server has a row to tell for a statement."""

    def ask(database: Database) -> None:
        until = time.monotonic() + 10
        while admin.execute(once).fetchone() is None:
            assert time.monotonic() < until, "it was never asked"
        raise error

    return ask


def plan(shop: psycopg.Connection[Any], name: str) -> str:
    """Return how the server answers one of the statements for the rows that hang on others."""
    archived = name.endswith("archived")
    sides = ("archive", "child_archive") if archived else ("table", "child")
    given = {name: IDENTITY[name] for name in ("time", "since", "cutoff", "child_key", "parent_key")}
    given |= {"key": "id", "table": IDENTITY[sides[0]], "child": IDENTITY[sides[1]]}
    text, bound = sql.load(name).filled(shop.info.server_version // 10000, given)
    explained = f"explain (analyze, costs off, timing off, summary off) {text}"
    return "\n".join(row[0] for row in shop.execute(explained.encode(), bound).fetchall())


def test_what_hangs_on_the_rows_is_counted_on_both_sides(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """What lies in the archive of the child and hangs on a row that is not in the other is not counted."""
    with closing(entered(server)) as database:
        before = old_rows_look.values(database, IDENTITY)
        shop.execute(_GONE.encode())
        after = old_rows_look.values(database, IDENTITY)
    counts = ("rows", "archived", "hanging", "hanging_archived")
    assert [before[name] for name in counts] == [900, 100, 900, 100]
    assert [after[name] for name in counts] == [0, 1000, 0, 1000]
    same = ("checksum", "hanging_checksum", "structure")
    assert [before[name] for name in same] == [after[name] for name in same]


def test_two_connections_see_what_one_sees(server: Databases, shop: psycopg.Connection[Any]) -> None:
    """And nothing is asked over both of them."""
    told = list[str]()
    with closing(entered(server)) as alone, closing(entered(server, told)) as one:
        expected = old_rows_look.values(alone, IDENTITY)
        with closing(entered(server, told)) as other:
            assert old_rows_look.values_at_once([one, other], IDENTITY) == expected
    counts = [what for what in told if what.startswith("rows_")]
    assert sorted(counts) == ["rows_between", "rows_between", "rows_hanging", "rows_hanging_archived"]


def test_each_connection_takes_the_next_question_and_the_answers_keep_their_order(server: Databases) -> None:
    """While one counts for long, the other gets through with all the rest."""
    others_done = threading.Event()

    def long(database: Database) -> list[Database]:
        assert others_done.wait(10), "the others waited for it"
        return [database]

    def last(database: Database) -> list[Database]:
        others_done.set()
        return [database]

    with closing(entered(server)) as one, closing(entered(server)) as other:
        took = several.shared([one, other], [long, lambda database: [database], last])
        assert took[0] != took[1] == took[2]


def test_what_a_connection_is_refused_hides_nothing(server: Databases, shop: psycopg.Connection[Any]) -> None:
    """What could not be counted is not none; and the connections are good for the next look."""
    with closing(entered(server)) as database, closing(entered(server)) as beside:
        database.table("server_facts")
        shop.execute(b"alter table lines owner to postgres; revoke all on lines from public")
        shop.execute(b"revoke pg_read_all_data from opslib_monitor")
        shop.execute(b"grant select on orders, orders_old, lines_old to opslib_monitor")
        try:
            with pytest.raises(SourceError, match="lines"):
                old_rows_look.values_at_once([database, beside], IDENTITY)
        finally:
            shop.execute(b"grant pg_read_all_data to opslib_monitor")
        assert old_rows_look.values_at_once([database, beside], IDENTITY)["hanging"] == 900


def test_a_second_connection_that_is_lost_is_done_without(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """The first can answer alone, only slower; when rows have gone already, no verdict would be worse."""
    limit = b"select rolconnlimit from pg_roles where rolname = 'opslib_monitor'"
    before = shop.execute(limit).fetchone()
    assert before
    with closing(entered(server)) as one, closing(entered(server)) as other:
        expected = old_rows_look.values(one, IDENTITY)
        other.table("server_facts")
        assert other._session
        shop.execute(b"alter role opslib_monitor connection limit 1")
        shop.execute("select pg_terminate_backend(%s, 5000)", [other._session._connection.info.backend_pid])
        try:
            assert old_rows_look.values_at_once([one, other], IDENTITY) == expected
        finally:
            shop.execute(f"alter role opslib_monitor connection limit {before[0]}".encode())


def test_a_first_connection_that_is_lost_ends_the_look(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """It has the lock: what another sees would be true, and nobody could act on it."""
    with closing(entered(server)) as one, closing(entered(server)) as other:

        def away(database: Database) -> bool:
            if database is one:
                raise Unreachable("it went away")
            return True

        with pytest.raises(Unreachable, match="went away"):
            several.shared([one, other], [away, away, away])


def test_a_second_interrupt_does_not_end_the_first(
    server: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People press the keys twice: counts that nobody waits for must not go on in the server."""
    interrupted, ended = list[str](), list[str]()

    def cancel(database: Database) -> None:
        if not interrupted:
            interrupted.append("again")
            raise KeyboardInterrupt
        cancelled(database)

    cancelled = Database.cancel
    monkeypatch.setattr(Database, "cancel", cancel)
    with closing(entered(server)) as one, closing(entered(server)) as other, server.admin(SYSTEM) as admin:
        connections, questions = [one, other], [slow(ended), breaking(admin, _ASLEEP, KeyboardInterrupt())]
        with pytest.raises(KeyboardInterrupt):
            several.shared(connections, questions)
    assert interrupted and "user request" in ended[0]


def test_what_was_ended_is_not_asked_again_over_a_new_connection(
    server: Databases, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server cannot be told to end it, the connection is cut: that one was not merely lost."""
    told = list[str]()
    with closing(entered(server, told)) as one, closing(entered(server)) as other:
        one.table("server_facts")
        assert one._session
        monkeypatch.setattr(one._session, "cancel", partial(cutting.cut, one._session._connection))

        def asks(database: Database) -> None:
            one.rows("rows_without_time", table=["public", "orders"], time="at", since=SINCE)

        with shop.transaction():
            shop.execute(b"lock table orders in access exclusive mode")
            connections, away = [one, other], SourceError("it went away")
            with pytest.raises(SourceError, match="went away"):
                several.shared(connections, [asks, breaking(shop, _WAITING, away)])
    assert told.count("rows_without_time") == 1


@pytest.mark.parametrize("broken", [KeyboardInterrupt(), SourceError("it went away")])
def test_whoever_stops_waiting_stops_what_is_asked_beside(server: Databases, broken: BaseException) -> None:
    """Rows by the million may be counted for minutes: nobody who gave up should have to sit them out."""
    ended = list[str]()

    with closing(entered(server)) as one, closing(entered(server)) as other, server.admin(SYSTEM) as admin:
        connections, questions = [one, other], [slow(ended), breaking(admin, _ASLEEP, broken), slow(ended)]
        with pytest.raises(type(broken)):
            several.shared(connections, questions)
    assert len(ended) == 1 and "user request" in ended[0]


def test_once_all_rows_have_gone_nothing_is_read_to_find_that_nothing_hangs_on_them(
    shop: psycopg.Connection[Any],
) -> None:
    """The planner still believes that there are many, and would read the other table through."""
    assert "never executed" not in plan(shop, "rows_hanging")
    shop.execute(_GONE.encode())
    read = [line for line in plan(shop, "rows_hanging").splitlines() if "on lines" in line]
    assert read and all("never executed" in line for line in read)


def test_rows_of_an_archive_that_was_just_filled_are_not_looked_up_one_by_one(
    shop: psycopg.Connection[Any],
) -> None:
    """Nobody has told the planner of their times, so it would expect a handful."""
    shop.execute(_FILLED.encode())
    by_outer_join = plan(shop, "rows_hanging_archived")
    assert "Hash" in by_outer_join and "Nested Loop" not in by_outer_join
