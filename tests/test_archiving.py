"""Old rows are taken out batch by batch: none lost, none doubled, whoever works and whatever is killed."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import catalog, config, frames
from opslib.acts import Opening
from opslib.changes import Means, archiving
from opslib.checks import old_rows, old_rows_facts, old_rows_look
from opslib.checks.old_rows import Rule, Seen
from opslib.cli.app import cli
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.errors import Forbidden, ParameterError, Refused, SourceError, Unreachable
from opslib.gate import faults, steps
from opslib.gate.plan import Draft
from opslib.pg import Database
from opslib.pg.frame import Row
from opslib.pg.session import Session
from opslib.sandbox import control
from opslib.sandbox.databases import Databases
from opslib.verdict import Status, combine
from tests.acting import ROOT, Case, applied, planned, ready, states

SYSTEM = "voiceaitraining"
OLD = Case("archive-rows", "old-rows", SYSTEM, {"batch": 1000})
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
LIMIT = (NOW - timedelta(days=365)).isoformat()
MARK = "forgotten-by-the-quarter"
MANY = 20_000
# As many again as the scenario makes, so that there are batches enough to be killed between them.
_MORE = f"""insert into scenario_attempts
  (org_id, scenario_id, user_id, status, score, transcript, started_at, ended_at)
select a.org_id, a.scenario_id, a.user_id, 'completed', 70, '{MARK}',
       at - interval '9 minutes', at
from (select now() - interval '368 days' - n * interval '1 minute' as at from generate_series(1, {MANY}) n) n,
     (select * from scenario_attempts order by id limit 1) a"""
_ATTEMPTS = f"select id from {{}} where transcript = '{MARK}'"


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


@contextmanager
def admin() -> Iterator[psycopg.Connection[Any]]:
    """A session of the administrator in the running sandbox."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as connection:
        yield connection


def keys(connection: psycopg.Connection[Any], table: str) -> set[int]:
    """Return the keys of the scenario's rows in a table."""
    return {row[0] for row in connection.execute(_ATTEMPTS.format(table).encode()).fetchall()}


def answers(connection: psycopg.Connection[Any], table: str) -> set[int]:
    """Return the keys of all answers in a table."""
    return {row[0] for row in connection.execute(f"select id from {table}".encode()).fetchall()}


class Writers:
    """An app at work: new attempts all the time, and corrections to old ones."""

    def __init__(self) -> None:
        self.written, self._stop = 0, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(2)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        new = """insert into scenario_attempts (org_id, scenario_id, user_id, status, transcript)
            select org_id, scenario_id, user_id, 'running', 'written-meanwhile'
            from scenario_attempts limit 1"""
        old = f"""update scenario_attempts set score = 71 where id in
            (select id from scenario_attempts where transcript = '{MARK}' offset {number * 50} limit 5)"""
        with admin() as connection:
            while not self._stop.wait(0.01):
                connection.execute(new.encode())
                self.written += 1
                connection.execute(old.encode())


def test_killed_between_batches_while_others_write_no_row_is_lost_or_doubled(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 after some batches, twice; the keys are compared one by one, not only counted."""
    control.break_(OLD.scenario, SYSTEM)
    with admin() as connection:
        connection.execute(_MORE.encode())
        before, answered = keys(connection, "scenario_attempts"), answers(connection, "attempt_answers")
        there = answers(connection, "attempt_answers_archive")
        document = planned(OLD, archive)
        with Writers() as writers:
            for number in (3, 5):
                monkeypatch.setenv(faults.VARIABLE, f"{faults.STEP}:{number}")
                assert applied(OLD, document, archive)["cause"]["id"] == "kernel-died"
            monkeypatch.delenv(faults.VARIABLE)
            half = keys(connection, "scenario_attempts")
            after = applied(OLD, document, archive)
        try:
            assert 0 < len(half) < len(before) == MANY + 600, "it was not killed in the middle"
            assert states(after) == ["done"], after["changed"]
            assert keys(connection, "scenario_attempts") == set()
            assert keys(connection, "scenario_attempts_archive") == before
            left = answers(connection, "attempt_answers")
            gone = answers(connection, "attempt_answers_archive") - there
            assert left | gone == answered and not left & gone and len(gone) == 1200
            new = "select count(*) from scenario_attempts where transcript = 'written-meanwhile'"
            assert connection.execute(new.encode()).fetchone() == (writers.written,)
        finally:
            connection.execute(b"delete from scenario_attempts where transcript = 'written-meanwhile'")


def test_a_plan_writes_nothing_applied_twice_moves_once_and_undo_brings_all_home(archive: Path) -> None:
    """The same probe says before and after; the answers go along both ways."""
    with admin() as connection:
        untouched = answers(connection, "attempt_answers")
        control.break_(OLD.scenario, SYSTEM)
        before, answered = keys(connection, "scenario_attempts"), answers(connection, "attempt_answers")
        document = planned(OLD, archive)
        assert (document["verdict"], document["cause"]["id"]) == ("warning", "old-rows")
        assert keys(connection, "scenario_attempts") == before
        after = applied(OLD, document, archive)
        assert (after["verdict"], states(after)) == ("ok", ["done"])
        assert keys(connection, "scenario_attempts_archive") == before
        assert answers(connection, "attempt_answers") == untouched
        again = applied(OLD, document, archive)
        assert (again["verdict"], states(again)) == ("ok", ["already done"])
        assert cli.main(["undo", after["run_id"], "--json"], standalone_mode=False) == 1, "they are old again"
        assert keys(connection, "scenario_attempts") == before
        assert keys(connection, "scenario_attempts_archive") == set()
        assert answers(connection, "attempt_answers") == answered


def test_rows_that_somebody_works_at_are_left_and_the_next_application_takes_them(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for us, and we do not say done; what is left is said and can be gone on with."""
    control.break_(OLD.scenario, SYSTEM)
    document = planned(OLD, archive)
    with admin() as connection, admin() as working:
        with working.transaction():
            working.execute(f"{_ATTEMPTS.format('scenario_attempts')} limit 3 for update".encode())
            monkeypatch.setenv(faults.VARIABLE, f"{faults.STEP}:1")
            applied(OLD, document, archive)
            assert len(keys(connection, "scenario_attempts")) == 3
        monkeypatch.delenv(faults.VARIABLE)
        assert states(applied(OLD, document, archive)) == ["done"]
        assert keys(connection, "scenario_attempts") == set()


def test_rows_that_came_since_leave_the_target_out(archive: Path) -> None:
    """Nobody has approved them, so nobody moves them."""
    control.break_(OLD.scenario, SYSTEM)
    document = planned(OLD, archive)
    with admin() as connection:
        connection.execute(_MORE.replace(str(MANY), "1").encode())
        before = keys(connection, "scenario_attempts")
        after = applied(OLD, document, archive)
        assert states(after) == ["left out"] and "it has changed since" in after["changed"][0]["text"]
        assert keys(connection, "scenario_attempts") == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"older_than_days": "-1"}, "older_than_days: '-1'"),
        ({"batch": "1000000"}, "batch: '1000000'"),
    ],
)
def test_an_age_or_a_batch_that_makes_no_sense_starts_no_kernel(given: dict[str, str], said: str) -> None:
    """The bounds stand beside the parameter."""
    with pytest.raises(ParameterError, match=said):
        catalog.load(ROOT / "notebooks").get("archive-rows").parse(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"before": "2099-01-01T00:00:00Z"}, "before: .* in the future"),
        ({"before": "yesterday"}, "before: 'yesterday' is no time"),
        ({"before": "2026-01-01"}, "has no zone"),
        (
            {"table": "users"},
            "users has no rule in the system's file, so it needs: archive, column, older_than_days",
        ),
    ],
)
def test_a_rule_that_is_not_whole_is_refused_by_the_name_of_what_is_wrong(
    given: dict[str, str], said: str
) -> None:
    """A limit in the future would move the rows of today."""
    with pytest.raises(ParameterError, match=said):
        old_rows.archive_rules(config.load_system(SYSTEM, ROOT), now=NOW, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    """A server of this module's own, whose tables tests may change."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        yield databases


@pytest.fixture
def shop(server: Databases) -> Iterator[psycopg.Connection[Any]]:
    """Two small tables that fit each other, gone again after the test."""
    with server.admin(SYSTEM) as connection:
        connection.execute(
            b"create table orders (id bigint primary key, note text, at timestamptz);"
            b"create index on orders (at);"
            b"create table orders_old (at timestamptz, id bigint primary key, note text);"
            b"insert into orders select n, 'n', '2020-01-01'::timestamptz + n * interval '1 day'"
            b" from generate_series(1, 10) n;"
            b'create table "Weird ""Name"" %s {x}" (like orders including all)'
        )
        try:
            yield connection
        finally:
            connection.execute(
                b"drop table if exists orders, orders_old, lines, lines_old, visits, visits_old,"
                b' "Weird ""Name"" %s {x}" cascade'
            )


@contextmanager
def entered(server: Databases, role: str = "monitor") -> Iterator[Database]:
    """The database as one of opslib's roles."""
    door = Door("direct", Secret.literal("test", server.dsn(SYSTEM, role)), False)
    with closing(Database([door], application_name="opslib/test/1")) as database:
        yield database


def seen(server: Databases, **rule: Any) -> Seen:
    """Look at the two small tables."""
    given = {"table": "orders", "column": "at", "before": LIMIT, "archive": "orders_old", **rule}
    with entered(server) as database:
        return old_rows_look.look(database, [Rule(**given)])[0]


def test_tables_with_another_order_of_columns_fit(server: Databases, shop: Any) -> None:
    """`select *` would put the note into the time."""
    found = seen(server)
    assert (found.against, found.rows, found.columns["columns"]) == ((), 10, ["at", "id", "note"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("alter table orders_old drop note", "column note .* missing in the archive"),
        ("alter table orders_old alter note type int using 1", "column note .* of another type"),
        ("alter table orders_old add boss text not null", "column boss .* may not be empty"),
        ("alter table orders_old drop constraint orders_old_pkey", "must have the primary key"),
        (
            "alter table orders_old drop constraint orders_old_pkey, add primary key (id, at)",
            "must have the primary key",
        ),
        ("alter table orders drop constraint orders_pkey", "orders has no primary key"),
        ("insert into orders_old select at, id, note from orders limit 2", "2 of the rows are in"),
        ("create table lines (o bigint references orders on delete cascade)", "no index begins with lines.o"),
        ("create table lines (o bigint primary key references orders)", "lines.o refers .* would refuse"),
        (
            "create table lines (o bigint primary key references orders on delete cascade)",
            "rows of lines would be deleted with them",
        ),
        (
            "create trigger ring before delete on orders for each row execute function"
            " tsvector_update_trigger(note, 'pg_catalog.english', note)",
            "the trigger ring of public.orders runs on delete",
        ),
        (
            "alter table orders add no int unique; create table lines (id int primary key, o int references"
            " orders (no) on delete cascade); create index on lines (o)",
            "lines.o leads to other columns than the key",
        ),
        ("create table lines () inherits (orders)", "lines inherits from public.orders"),
        ("create rule quiet as on delete to orders do instead nothing", "the trigger quiet .* as a rule"),
        ("create rule away as on insert to orders_old do instead nothing", "the trigger away .* as a rule"),
        (
            "alter table orders add twice text generated always as (note || note) stored;"
            " alter table orders_old add twice text",
            "column twice .* computed in the table only",
        ),
        (
            "create table lines (id int primary key, o bigint references orders_old on delete cascade)",
            "rows of lines hang on public.orders_old: to move back would delete them",
        ),
    ],
)
def test_whatever_stands_in_the_way_is_named_and_nothing_is_planned(
    server: Databases, shop: psycopg.Connection[Any], change: str, said: str
) -> None:
    """The runbook's two statements would lose rows, or put them in the wrong column, without a word."""
    shop.execute(change.encode())
    found = seen(server)
    assert sum(bool(re.search(said, text)) for text in found.against) == 1, found.against
    assert not found.identity
    ways = old_rows.ways([found])
    assert (ways[0].status, ways[0].cause) == (Status.WARNING, old_rows.BLOCKED)


@pytest.fixture
def visits(server: Databases, shop: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A table whose key has two columns, as counts by person and day have it, and its archive."""
    shop.execute(
        b"create table visits (person int, at timestamptz, pages int);"
        b"alter table visits add primary key (person, at) include (pages);"
        b"create index on visits (at);"
        b"create table visits_old (at timestamptz, person int, pages int, primary key (at, person));"
        b"insert into visits select p, '2020-01-01'::timestamptz + d * interval '1 day', p * d"
        b" from generate_series(1, 2) p, generate_series(1, 5) d;"
        b"alter table visits owner to app_voiceaitraining;"
        b"alter table visits_old owner to app_voiceaitraining"
    )
    return shop


VISITS = {"table": "visits", "archive": "visits_old"}


def test_rows_with_a_key_of_several_columns_go_over_and_come_back(
    server: Databases, visits: psycopg.Connection[Any]
) -> None:
    """Each row by its whole key, in whatever order the archive has the columns."""
    rows = b"select person, at, pages from {} order by 1, 2"
    before = visits.execute(rows.replace(b"{}", b"visits")).fetchall()
    found = seen(server, **VISITS)
    assert (found.against, found.identity["key"]) == ((), ["person", "at"])
    env = config.load_system(SYSTEM, ROOT).environment("sandbox")
    draft = archiving.draft([found], env, batch=3)
    assert draft
    target = draft.targets[0]
    with entered(server, "operator") as operator:
        kind = archiving.KIND(Means(env, lambda: operator, lambda name: None, draft.settings))
        for way in (target, target.reversed()):
            assert way and kind.observe(way).fits(way.before)
            while operator.act(Opening(way.act, "a batch")):
                pass
            assert kind.observe(way).fits(way.after)
            there = b"visits_old" if way is target else b"visits"
            assert visits.execute(rows.replace(b"{}", there)).fetchall() == before


def test_a_row_is_in_both_tables_only_where_its_whole_key_is(
    server: Databases, visits: psycopg.Connection[Any]
) -> None:
    """The same person on another day is another row."""
    visits.execute(b"insert into visits_old values ('2019-05-05', 1, 7)")
    assert seen(server, **VISITS).against == ()
    visits.execute(b"insert into visits_old select at, person, pages from visits where person = 2 limit 1")
    assert "1 of the rows are in public.visits_old already" in seen(server, **VISITS).against[0]


def test_the_checksum_tells_which_columns_of_a_key_belong_together(
    server: Databases, visits: psycopg.Connection[Any]
) -> None:
    """Rows that have exchanged their days are other rows: nobody has approved those."""
    told = list[str]()
    for day in range(2, 10):
        for persons in ((1, 2), (2, 1)):
            visits.execute(b"delete from visits")
            days = (f"({persons[0]}, '2020-01-01')", f"({persons[1]}, '2020-01-{day:02}')")
            visits.execute(f"insert into visits values {', '.join(days)}".replace("')", "', 0)").encode())
            told.append(seen(server, **VISITS).values["checksum"])
    assert len(set(told)) == len(told)


def test_a_name_with_quotes_and_signs_is_one_name(server: Databases, shop: psycopg.Connection[Any]) -> None:
    """Names are put in as identifiers, so what looks like SQL is a table that is not there."""
    weird = '"Weird ""Name"" %s {x}"'
    shop.execute(f"insert into {weird} select * from orders".encode())
    assert seen(server, table=weird).rows == 10


@pytest.mark.parametrize("key", ["table", "archive", "column"])
@pytest.mark.parametrize(
    "text", ['orders"; drop table orders; --', "orders; drop table orders", "' or 1=1 --"]
)
def test_sql_in_a_parameter_is_a_name_that_is_not_there(
    server: Databases, shop: psycopg.Connection[Any], key: str, text: str
) -> None:
    """Nothing is ever built from text."""
    with pytest.raises(ParameterError, match=key):
        seen(server, **{key: text})
    assert shop.execute(b"select count(*) from orders").fetchone() == (10,)


def test_a_column_that_is_no_time_is_refused(server: Databases, shop: Any) -> None:
    """An age can be told of times only."""
    with pytest.raises(ParameterError, match=r"column: 'note' of public.orders is no time but text"):
        seen(server, column="note")


def test_rows_that_our_role_may_not_see_are_unknown_not_clean(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Row level security shows an empty table, which looks like one without old rows."""
    shop.execute(b"alter table orders enable row level security; alter role opslib_monitor nobypassrls")
    try:
        found = seen(server)
    finally:
        shop.execute(b"alter role opslib_monitor bypassrls")
    assert "row level security hides rows" in found.reason
    assert combine(f.status for f in old_rows.waiting([found])) is Status.UNKNOWN


def test_a_table_that_our_role_may_not_read_is_unknown(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """The grant that is missing is named."""
    shop.execute(b"revoke pg_read_all_data from opslib_monitor")
    try:
        found = seen(server)
    finally:
        shop.execute(b"grant pg_read_all_data to opslib_monitor")
    assert "may not read public.orders: grant select" in found.reason


def test_a_locked_table_is_unknown(server: Databases, shop: psycopg.Connection[Any]) -> None:
    """Slow, and given up: nobody knows how many rows are old."""
    with shop.transaction():
        shop.execute(b"lock table orders in access exclusive mode")
        found = seen(server)
    assert "lock" in found.reason


class Answers:
    """A source that answers everything with one frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Return the frame."""
        return self._frame

    def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Say why there are none."""
        raise SourceError(str(frames.reason(self._frame)))


def test_a_source_that_refuses_is_unknown() -> None:
    """The reason is the source's own."""
    refused = Answers(frames.unavailable(["rows"], "door direct: nothing listens there"))
    found = old_rows_look.look(refused, [Rule("orders", "at", LIMIT)])
    assert found[0].reason == "door direct: nothing listens there"
    assert [f.status for f in old_rows.ways(found)] == [Status.UNKNOWN]


def test_a_rule_whose_rows_are_held_is_skipped_with_their_number() -> None:
    """A legal hold is no fault, and no clean bill either."""
    held = Seen(Rule("audit", "at", LIMIT, 30, hold=True), rows=5, oldest="2020-01-01T00:00:00Z")
    (found,) = old_rows.waiting([held])
    assert found.status is Status.SKIPPED and "5 rows" in found.why


def test_a_system_without_a_rule_is_not_called_well() -> None:
    """Where no row was looked at, a list must not tick it off; it says what to do instead."""
    (found,) = old_rows.waiting([])
    assert found.status is Status.UNKNOWN and "add archive_after_days" in found.why


@pytest.mark.parametrize(
    ("row_bytes", "given", "rows"),
    [(0, 0, 1572), (80, 0, 12_000), (2048, 0, 1536), (1 << 20, 0, 500), (2048, 100, 100)],
)
def test_a_batch_is_as_large_as_can_be_moved_in_a_moment(row_bytes: int, given: int, rows: int) -> None:
    """Large rows go by the hundred, small ones by the thousand, and a person's word is final."""
    identity = {"table": ["public", "orders"], "time": "at", "since": LIMIT, "cutoff": LIMIT}
    values = {"rows": 9, "checksum": "1", "structure": "x"}
    old = Seen(Rule("orders", "at", LIMIT), identity=identity, values=values, rows=9, row_bytes=row_bytes)
    draft = archiving.draft([old], config.load_system(SYSTEM, ROOT).environment("sandbox"), batch=given)
    assert draft and [target.act.params["rows"] for target in draft.targets] == [rows]


def test_a_row_counts_what_hangs_on_it_and_what_is_stored_out_of_line(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Else a batch of small rows with large children would hold its locks for long."""
    _family(shop)
    shop.execute(
        b"update orders set note = (select string_agg(md5(n::text), '') from generate_series(1, 999) n)"
    )
    shop.execute(b"vacuum analyze orders")
    alone = seen(server).row_bytes
    shop.execute(b"vacuum analyze lines")
    assert alone > 10_000 and seen(server, along={"lines": "lines_old"}).row_bytes > alone


def test_a_line_that_comes_while_its_order_is_moved_is_not_deleted_with_it(
    server: Databases, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The foreign key would delete what the batch never saw; the batch fails instead, and comes again."""
    draft = _drafted(server, shop, "family")
    assert draft.targets[0].act.text.startswith("archive_family_batch")
    must_be = Session._must_be

    def and_then_comes(session: Session, backend: int | None) -> None:
        must_be(session, backend)
        shop.execute(b"insert into lines values (11, 3) on conflict do nothing")

    monkeypatch.setattr(Session, "_must_be", and_then_comes)
    with entered(server, "operator") as operator, operator.lock("archiving"):
        with pytest.raises(Unreachable) as failed:
            operator.act(Opening(draft.targets[0].act, "a batch"))
        assert failed.value.kind == "moved"
        assert shop.execute(b"select count(*) from lines").fetchone() == (11,)
        assert list(operator.act(Opening(draft.targets[0].act, "again"))[0].values())[:2] == [10, 11]


def test_a_line_that_somebody_works_at_holds_up_its_own_stretch_only(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """The others go meanwhile, and whoever wants a row of the batch does not wait for long."""
    _family(shop)
    shop.execute(b"update orders set at = '2020-01-01'::timestamptz + id * interval '150 days'")
    draft = _movable(server, shop, batch=1, along={"lines": "lines_old"})
    with two_hands(server, draft) as (kind, operator, other), shop.transaction():
        shop.execute(b"select from lines where id = 1 for update")
        kind.PATIENCE_S = 1.0  # type: ignore[misc]
        hands = [hand(database, draft, []) for database in (operator, other)]
        with pytest.raises(Unreachable, match="lock"):
            list(steps.taken(hands, kind, draft.targets[0], ("begin",)))
        assert shop.execute(b"select id from orders where id > 4").fetchall() == []


def test_a_row_that_somebody_is_writing_to_waits_and_the_others_go(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """One busy row must not cost the batch, or a table in use could never be emptied."""
    shop.execute(b"alter table orders owner to app_voiceaitraining")
    shop.execute(b"alter table orders_old owner to app_voiceaitraining")
    draft = archiving.draft([seen(server)], config.load_system(SYSTEM, ROOT).environment("sandbox"))
    assert draft
    with entered(server, "operator") as operator, ThreadPoolExecutor() as pool:
        with shop.transaction():
            shop.execute(b"update orders set note = 'mine' where id = 3")
            assert operator.act(Opening(draft.targets[0].act, "a batch"))[0]["moved"] == 9
        with shop.transaction():
            shop.execute(b"lock table orders_old in share mode")
            moving = pool.submit(operator.act, Opening(draft.targets[0].act, "the rest"))
            _awaited(shop, b"select 1 from pg_locks where relation = 'orders_old'::regclass and not granted")
            shop.execute(b"update orders set note = 'still mine' where id = 3")
        assert moving.result()[0]["moved"] == 1
    assert shop.execute(b"select note from orders_old where id = 3").fetchone() == ("still mine",)


def test_a_table_that_is_altered_on_the_way_ends_the_move(
    server: Databases, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the new column holds would be lost with the rows: the plan does not know it."""
    shop.execute(b"alter table orders owner to app_voiceaitraining")
    monkeypatch.setattr(archiving, "_COMPARED_S", 0.0)
    env = config.load_system(SYSTEM, ROOT).environment("sandbox")
    draft = archiving.draft([seen(server)], env, batch=2)
    assert draft
    with entered(server, "operator") as operator:
        kind = archiving.KIND(Means(env, lambda: operator, lambda name: None, draft.settings))
        kind.observe(draft.targets[0])
        assert kind.more(draft.targets[0], {"moved": 2})
        shop.execute(b"create index on orders (at desc)")
        assert kind.more(draft.targets[0], {"moved": 2}), "an index holds nothing that could be lost"
        shop.execute(b"alter table orders add worth int")
        assert not kind.more(draft.targets[0], {"moved": 2})
        shop.execute(b"alter table orders_old add worth int")
        assert kind.observe(draft.targets[0]).values == {}


def test_lines_that_went_before_their_orders_are_in_the_way(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Once their orders come they would count as moved, and the sums would never be those of the plan."""
    _family(shop)
    shop.execute(b"insert into lines_old values (90, 3), (91, 99)")
    found = seen(server, along={"lines": "lines_old"})
    assert found.against == (
        "1 rows of public.lines_old hang on rows that have not gone: move them back first",
    )


@pytest.mark.parametrize("along", [False, True])
def test_a_column_that_comes_between_two_looks_stops_the_very_next_batch(
    server: Databases, shop: psycopg.Connection[Any], along: bool
) -> None:
    """A deployment adds and fills it in one transaction: what it put in there must not be left behind."""
    if along:
        _family(shop)
    draft = _movable(server, shop, batch=2, **({"along": {"lines": "lines_old"}} if along else {}))
    target = draft.targets[0]
    with entered(server, "operator") as operator:
        assert operator.act(Opening(target.act, "before"))[0]["moved"] == 2
        shop.execute(b"alter table lines add worth int" if along else b"alter table orders add worth int")
        assert not operator.act(Opening(target.act, "after"))
        assert target.undo
        assert operator.act(Opening(target.undo, "the way back loses nothing"))[0]["moved"] == 2
    assert shop.execute(b"select count(*) from orders").fetchone() == (10,)


_TOTALS = b"create table totals as select id from orders; create index on totals (id)"
_REFERS = b"alter table totals add foreign key (id) references orders on delete cascade"


@pytest.mark.parametrize("how", ["archive", "family", "delete"])
def test_a_foreign_key_that_comes_between_two_looks_stops_the_very_next_batch(
    server: Databases, shop: psycopg.Connection[Any], how: str
) -> None:
    """It would delete rows of a table that nobody has approved, until somebody looks again."""
    draft = _drafted(server, shop, how)
    with entered(server, "operator") as operator:
        shop.execute(_TOTALS)
        shop.execute(_REFERS)
        try:
            assert not operator.act(Opening(draft.targets[0].act, "a batch"))
            assert shop.execute(b"select count(*) from totals").fetchone() == (10,)
        finally:
            shop.execute(b"drop table totals")
        assert 10 in operator.act(Opening(draft.targets[0].act, "again"))[0].values()


@pytest.mark.parametrize("how", ["archive", "family", "delete"])
def test_a_foreign_key_that_a_batch_had_to_wait_for_stops_it_too(
    server: Databases, shop: psycopg.Connection[Any], how: str
) -> None:
    """What it sees must not be older than the lock that it waited for."""
    draft = _drafted(server, shop, how)
    shop.execute(_TOTALS)
    with entered(server, "operator") as operator, ThreadPoolExecutor() as pool:
        try:
            with shop.transaction():
                shop.execute(_REFERS)
                moving = pool.submit(operator.act, Opening(draft.targets[0].act, "a batch"))
                _awaited(shop, b"select 1 from pg_locks where relation = 'orders'::regclass and not granted")
            assert not moving.result()
            assert shop.execute(b"select count(*) from totals").fetchone() == (10,)
        finally:
            shop.execute(b"drop table totals")


def _drafted(server: Databases, shop: psycopg.Connection[Any], how: str) -> Draft:
    """Plan to move the orders alone or with their lines, or to delete them."""
    if how == "family":
        _family(shop)
    rules: dict[str, dict[str, Any]] = {
        "archive": {}, "family": {"along": {"lines": "lines_old"}}, "delete": {"archive": ""},
    }  # fmt: skip
    return _movable(server, shop, batch=0, **rules[how])


def test_rows_that_a_policy_hides_from_the_operator_end_the_batch(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """The lines that it may not delete would go with their orders, and be in no archive."""
    draft = _drafted(server, shop, "family")
    shop.execute(
        b"alter table lines enable row level security; alter table lines force row level security;"
        b"create policy see on lines for select using (true);"
        b"create policy few on lines for delete using (id <= 5)"
    )
    shop.execute(b"alter role opslib_operator nobypassrls")
    try:
        with entered(server, "operator") as operator, pytest.raises(Forbidden, match="row-level security"):
            operator.act(Opening(draft.targets[0].act, "a batch"))
    finally:
        shop.execute(b"alter role opslib_operator bypassrls")
    assert shop.execute(b"select count(*) from lines").fetchone() == (10,)


_NOTHING = "create function nothing() returns trigger language plpgsql as $$ begin return null; end $$;"


@pytest.mark.parametrize(
    "altered",
    [
        "alter table orders add worth int",
        "alter table orders_old drop column note",
        "alter table orders alter note type varchar(50)",
        "create table lines (order_id bigint references orders on delete cascade)",
        "create table order_heirs () inherits (orders)",
        "create rule silent as on delete to orders do instead nothing",
        f"{_NOTHING} create trigger watches before delete on orders for each row execute function nothing()",
        "alter table orders rename to orders_gone; create table orders (like orders_gone including all)",
    ],
)
def test_whatever_changes_what_a_move_does_changes_the_mark(
    server: Databases, shop: psycopg.Connection[Any], altered: str
) -> None:
    """The mark is asked in place of all facts: what it misses would not be looked at."""
    identity = {"table": ("public", "orders"), "archive": ("public", "orders_old")}
    with entered(server, "monitor") as database:
        before = old_rows_facts.mark(database, identity)
        shop.execute(b"insert into orders values (90, 'new', now())")
        shop.execute(b"vacuum (analyze) orders")
        assert old_rows_facts.mark(database, identity) == before, "rows came, and nothing was altered"
        shop.execute(altered.encode())
        assert old_rows_facts.mark(database, identity) != before


@pytest.mark.parametrize(
    "altered",
    [
        "drop index lines_order",
        "alter table lines rename column order_id to belongs_to",
        "alter table lines set schema extensions",
        "alter type mood rename to temper",
    ],
)
def test_what_changes_about_a_table_that_refers_changes_the_mark(
    server: Databases, shop: psycopg.Connection[Any], altered: str
) -> None:
    """Each row that is deleted could then cost a pass over that table, or more."""
    shop.execute(
        b"create type mood as enum ('well');"
        b"create table lines (order_id bigint references orders, felt mood);"
        b"create index lines_order on lines (order_id)"
    )
    identity = {"table": ("public", "orders")}
    try:
        with entered(server, "monitor") as database:
            before = old_rows_facts.mark(database, identity)
            shop.execute(altered.encode())
            assert old_rows_facts.mark(database, identity) != before
    finally:
        shop.execute(b"drop table if exists lines, extensions.lines; drop type if exists mood, temper")


def test_a_step_keeps_within_its_stretch_and_never_leaves_the_limits_of_the_plan(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Whatever a step is told, the times in the plan hold: only those were approved."""
    draft = _movable(server, shop, batch=2)
    shop.execute(b"insert into orders values (11, 'young', now()), (12, 'older', '2019-01-01')")
    act = draft.targets[0].act
    with entered(server, "operator") as operator:
        part = {"begin": "2020-01-04T00:00:00Z", "until": "2020-01-06T12:00:00Z"}
        first = operator.act(Opening(act, "a part"), part)[0]
        assert (first["moved"], first["begin"]) == (2, "2020-01-05T00:00:00.000000Z")
        assert (
            operator.act(Opening(act, "the rest of it"), {**part, "begin": first["begin"]})[0]["moved"] == 1
        )
        assert not operator.act(Opening(act, "nothing more"), {**part, "begin": first["begin"]})
        wide = {"begin": "0001-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}
        while operator.act(Opening(act, "all"), wide):
            pass
        with pytest.raises(ParameterError, match="has no steps that since could narrow"):
            operator.act(Opening(act, "a wider plan"), {"since": "0001-01-01T00:00:00Z"})
    assert shop.execute(b"select id from orders order by id").fetchall() == [(11,), (12,)]


def test_several_hands_share_the_rows_and_go_on_where_each_came_to(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """No hand passes again by what is gone: an old snapshot would keep those rows in its way."""
    shop.execute(b"analyze orders")
    draft = _movable(server, shop, batch=2)
    told: list[list[Any]] = [[], []]
    with two_hands(server, draft) as (kind, operator, other):
        hands = [hand(operator, draft, told[0]), hand(other, draft, told[1])]
        said = list(steps.taken(hands, kind, draft.targets[0], ("begin", "until")))
    steps_taken = Counter(told[0] + told[1])
    (middle,) = {until for _, until in steps_taken if until}
    assert set(steps_taken.values()) == {1}, "somebody began again where rows had gone already"
    assert (None, None) not in steps_taken, "all were gone, and somebody passed by them once more"
    assert told[0] and told[1], "one did it all"
    assert middle.startswith("2020-01-08")
    assert {(None, middle), ("2020-01-03T00:00:00.000000Z", middle), (middle, None)} <= set(steps_taken)
    assert said[-1] == "10 moved"
    assert shop.execute(b"select count(*) from orders").fetchone() == (0,)
    assert shop.execute(b"select count(*) from orders_old").fetchone() == (10,)


def test_rows_that_lie_unevenly_in_time_are_shared_as_the_planner_knows_them(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """One forgotten row of another century would leave all others to one hand."""
    shop.execute(b"update orders set at = '1999-01-01' where id = 1")
    shop.execute(b"analyze orders")
    draft = _movable(server, shop, batch=2)
    env = config.load_system(SYSTEM, ROOT).environment("sandbox")
    with entered(server, "operator") as operator:
        kind = archiving.KIND(Means(env, lambda: operator, lambda name: None, draft.settings))
        assert len(kind.stretches(draft.targets[0], 2)) == 1, "nothing was counted yet"
        kind.observe(draft.targets[0])
        first, second = kind.stretches(draft.targets[0], 2)
    assert first["until"] == second["begin"] and first["until"][:9] == "2020-01-0"


def test_rows_that_hang_on_others_of_their_own_table_are_left_to_one_hand(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Two would wait for each other's rows until the server ends one of them, again and again."""
    shop.execute(b"alter table orders add before bigint references orders on delete set null")
    shop.execute(b"alter table orders_old add before bigint; create index on orders (before); analyze orders")
    with two_hands(server, _movable(server, shop, batch=2)) as (kind, _, _):
        assert len(kind.stretches(_movable(server, shop, batch=2).targets[0], 2)) == 1


def test_each_table_of_a_plan_has_a_patience_of_its_own(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """What was waited for at the first must not end the second at its first lock."""
    draft = _movable(server, shop, batch=2)
    with two_hands(server, draft) as (kind, _, _):
        kind.PATIENCE_S = 0.0  # type: ignore[misc]
        assert [kind.more(draft.targets[0], {}) for _ in range(2)] == [True, False]
        kind.observe(draft.targets[0])
        assert kind.more(draft.targets[0], {})


@pytest.mark.parametrize("broken", ["moved", "lost"])
def test_a_step_that_does_not_get_through_keeps_its_stretch(
    server: Databases, shop: psycopg.Connection[Any], broken: str
) -> None:
    """It comes again where it was; a hand whose connection is lost is done without."""
    shop.execute(b"analyze orders")
    draft = _movable(server, shop, batch=2)
    told: list[list[Any]] = [[], []]
    with two_hands(server, draft) as (kind, operator, other):
        works = hand(other, draft, told[1])

        def fails_once(stretch: steps.Stretch) -> list[Row]:
            found = works(stretch) if told[1] else None
            if found is None:
                told[1].append((stretch["begin"], stretch["until"]))
                raise Unreachable("broken", kind=broken)
            return found

        list(steps.taken([hand(operator, draft, told[0]), fails_once], kind, draft.targets[0], ("begin",)))
    assert told[1][0] in told[0][1:] + told[1][1:]
    assert (len(told[1]) == 1) == (broken == "lost")
    assert shop.execute(b"select count(*) from orders_old").fetchone() == (10,)


def test_a_second_connection_acts_only_while_the_first_holds_the_lock(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Somebody else may have begun since."""
    draft = _movable(server, shop, batch=2)
    with (
        entered(server, "operator") as operator,
        closing(operator.another()) as other,
        pytest.raises(Refused, match="lock on archiving was lost"),
        operator.lock("archiving"),
    ):
        other.act(Opening(draft.targets[0].act, "under the lock"))
        operator.close()
        other.act(Opening(draft.targets[0].act, "without it"))
    assert shop.execute(b"select count(*) from orders_old").fetchone() == (2,)


@contextmanager
def two_hands(server: Databases, draft: Draft) -> Iterator[tuple[archiving.Archiving, Database, Database]]:
    """The kind of change, which has counted the rows, and two connections to move them over."""
    env = config.load_system(SYSTEM, ROOT).environment("sandbox")
    with entered(server, "operator") as operator, closing(operator.another()) as other:
        kind = archiving.KIND(Means(env, lambda: operator, lambda name: None, draft.settings))
        kind.observe(draft.targets[0])
        yield kind, operator, other


def hand(database: Database, draft: Draft, told: list[Any]) -> steps.Hand:
    """Carry out a step, and note the stretch that was asked for."""

    def step(stretch: steps.Stretch) -> list[Row]:
        told.append((stretch["begin"], stretch["until"]))
        return database.act(Opening(draft.targets[0].act, "a batch"), stretch)

    return step


def test_a_move_that_breaks_on_the_way_is_gone_on_with_once_it_is_mended(archive: Path) -> None:
    """Called failed, it could be neither resumed nor undone."""
    control.break_(OLD.scenario, SYSTEM)
    document = planned(OLD, archive)
    with admin() as connection:
        connection.execute(_MORE.replace(str(MANY), "3000").encode())
        document = planned(OLD, archive)
        before = keys(connection, "scenario_attempts")
        newest = f"{_ATTEMPTS.format('scenario_attempts')} order by ended_at desc limit 1"
        number = connection.execute(newest.encode()).fetchone()
        refuses = f"alter table scenario_attempts_archive add constraint full_up check (id <> {number[0]})"  # type: ignore[index]
        connection.execute(refuses.encode())
        try:
            after = applied(OLD, document, archive)
        finally:
            connection.execute(b"alter table scenario_attempts_archive drop constraint full_up")
        half = keys(connection, "scenario_attempts")
        assert states(after) == ["unclear"] and "full_up" in after["changed"][0]["text"], after["changed"]
        assert 0 < len(half) < len(before)
        assert states(applied(OLD, document, archive)) == ["done"]
        assert keys(connection, "scenario_attempts_archive") == before


def test_without_a_second_connection_one_does_it_all(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At full slots the move takes longer, and is the same."""
    control.break_(OLD.scenario, SYSTEM)
    document = planned(OLD, archive)
    with admin() as connection:
        connection.execute(b"alter role opslib_operator connection limit 1")
        try:
            assert states(applied(OLD, document, archive)) == ["done"]
        finally:
            connection.execute(b"alter role opslib_operator connection limit 5")
        assert keys(connection, "scenario_attempts") == set()


def _movable(server: Databases, shop: psycopg.Connection[Any], batch: int, **rule: Any) -> Draft:
    """Plan to move the orders, which the operator may do."""
    for name in ("orders", "orders_old"):
        shop.execute(f"alter table {name} owner to app_voiceaitraining".encode())
    env = config.load_system(SYSTEM, ROOT).environment("sandbox")
    draft = archiving.draft([seen(server, **rule)], env, batch=batch, connections=2)
    assert draft
    return draft


def _family(shop: psycopg.Connection[Any]) -> None:
    """Make lines that hang on the orders, and tables for both that the operator may write to."""
    shop.execute(
        b"create table lines (id int primary key, o bigint references orders on delete cascade);"
        b"create index on lines (o); insert into lines select n, n from generate_series(1, 10) n;"
        b"create table lines_old (like lines including all)"
    )
    for name in ("orders", "orders_old", "lines", "lines_old"):
        shop.execute(f"alter table {name} owner to app_voiceaitraining".encode())


def _awaited(shop: psycopg.Connection[Any], query: bytes) -> None:
    """Wait until a query has an answer."""
    until = time.monotonic() + 10
    while shop.execute(query).fetchone() is None:
        assert time.monotonic() < until, "nobody came to wait"
