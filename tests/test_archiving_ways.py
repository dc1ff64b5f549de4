"""Ways of moving rows that look open and are not: each is named before anything moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from opslib import config
from opslib.acts import Opening
from opslib.changes import archiving
from opslib.checks import old_rows, old_rows_facts, old_rows_look
from opslib.checks.old_rows import Rule, Seen
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.gate.plan import Draft
from opslib.pg import Database
from opslib.sandbox.databases import Databases
from opslib.verdict import Status
from tests.acting import ROOT

SYSTEM = "voiceaitraining"
LIMIT = "2021-01-01T00:00:00+00:00"
WITH_LINES = {"along": {"lines": "lines_old"}}
_ORDERS = """
create table orders (id {key} primary key, at timestamptz);
create index orders_at on orders (at);
create table lines (n bigint primary key, o {key} references orders on delete cascade);
create index lines_o on lines (o);
create table orders_old (like orders including all);
create table lines_old (like lines including all);
"""
_TEN = """
insert into orders select n, '2020-01-01'::timestamptz + n * interval '1 day' from generate_series(1, 10) n;
insert into lines select n, n from generate_series(1, 10) n;
"""
# The archives have their primary keys, and nothing to find old rows or the lines of an order by.
_BARE = "drop index orders_old_at_idx; drop index lines_old_o_idx;"
_NOISY = """
create function noisy() returns trigger language plpgsql as $$ begin return new; end $$;
create table visits (id int primary key, o bigint default 1 references orders on delete {act}, page text);
create index on visits (o);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Databases]:
    """A server of this module's own, whose tables tests may change."""
    with closing(Databases([SYSTEM], scale=0.02)) as databases:
        yield databases


@pytest.fixture
def admin(server: Databases) -> Iterator[psycopg.Connection[Any]]:
    """A session that may do anything, and what it made is gone afterwards."""
    with server.admin(SYSTEM) as connection:
        connection.execute(b"create extension if not exists citext schema extensions")
        connection.execute(b"create schema billing")
        try:
            yield connection
        finally:
            connection.execute(b"drop table if exists orders, lines, orders_old, lines_old, visits cascade")
            connection.execute(b"drop schema billing cascade; drop function if exists noisy")


@pytest.fixture
def shop(admin: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Ten orders with a line each, and archives that have all the indexes of the tables."""
    made(admin)
    return admin


def made(admin: psycopg.Connection[Any], key: str = "bigint", rows: str = _TEN) -> None:
    """Make orders and lines whose key is of a type, and an archive of each."""
    done(admin, _ORDERS.format(key=key) + rows)
    for name in ("orders", "orders_old", "lines", "lines_old"):
        done(admin, f"alter table {name} owner to app_voiceaitraining")


def done(admin: psycopg.Connection[Any], text: str) -> None:
    """Run statements as the administrator."""
    admin.execute(text.encode())


def count(admin: psycopg.Connection[Any], table: str) -> int:
    """Return how many rows a table has."""
    row = admin.execute(f"select count(*) from {table}".encode()).fetchone()
    assert row
    return int(row[0])


def entered(server: Databases, role: str = "monitor") -> Database:
    """Return the database as one of opslib's roles."""
    door = Door("direct", Secret.literal("test", server.dsn(SYSTEM, role)), False)
    return Database([door], application_name="opslib/test/1")


def seen(server: Databases, **rule: Any) -> Seen:
    """Look at the orders."""
    given = {"table": "orders", "column": "at", "before": LIMIT, "archive": "orders_old", **rule}
    with closing(entered(server)) as database:
        return old_rows_look.look(database, [Rule(**given)])[0]


def proposed(found: Seen, batch: int = 0) -> Draft:
    """Return the plan for what was seen."""
    draft = archiving.draft([found], config.load_system(SYSTEM, ROOT).environment("sandbox"), batch=batch)
    assert draft
    return draft


def refused(found: Seen, said: str) -> None:
    """Assert that one reason stands in the way, and that nothing is planned."""
    assert len(found.against) == 1 and said in found.against[0], found.against
    assert not proposed(found).targets
    assert old_rows.ways([found])[0].status is Status.WARNING


def made_of(admin: psycopg.Connection[Any], key: str, child: str) -> None:
    """Make the tables with a key of one type, and lines that refer to it by another; without rows."""
    made(admin, key, rows="")
    done(admin, "drop table lines cascade; drop table lines_old")
    done(admin, f"create table lines (n bigint primary key, o {child} references orders on delete cascade)")
    done(admin, "create index on lines (o); create table lines_old (like lines including all)")


@pytest.mark.parametrize(
    ("key", "child"),
    [
        ("extensions.citext", "extensions.citext"),
        ("text", 'text collate "C"'),
        ("varchar(20)", "char(20)"),
        ("varbit(8)", "bit(8)"),
    ],
)
def test_rows_that_hang_by_another_comparison_than_ours_keep_all_from_going(
    server: Databases, admin: psycopg.Connection[Any], key: str, child: str
) -> None:
    """A line in another case hangs on its order, is not found with it, and would be deleted with it."""
    made_of(admin, key, child)
    one = "b'10101010'" if "bit" in key else "'Order 1'"
    done(admin, f"insert into orders values ({one}, '2020-01-01')")
    done(admin, "insert into lines select 1, id from orders")
    refused(seen(server, **WITH_LINES), "lines.o compares otherwise than the `=` of pg_catalog")


@pytest.mark.parametrize(
    ("key", "child"),
    [
        ("text", "varchar(20)"),
        ("bigint", "int"),
        ("uuid", "uuid"),
        ("timestamptz", "date"),
        ("numeric", "int"),
    ],
)
def test_rows_that_hang_by_a_comparison_that_is_ours_go_along_and_come_back(
    server: Databases, admin: psycopg.Connection[Any], key: str, child: str
) -> None:
    """Types need not be the same: the server finds by the foreign key what our statements find."""
    made_of(admin, key, child)
    one = {"uuid": "gen_random_uuid()", "timestamptz": "'2020-01-01'"}.get(key, "'7'")
    done(admin, f"insert into orders values ({one}, '2020-01-01')")
    done(admin, f"insert into lines select 1, id::{child} from orders")
    for name in ("lines", "lines_old"):
        done(admin, f"alter table {name} owner to app_voiceaitraining")
    target = proposed(seen(server, **WITH_LINES)).targets[0]
    assert target.undo
    with closing(entered(server, "operator")) as operator:
        assert list(operator.act(Opening(target.act, "there"))[0].values())[:2] == [1, 1]
        assert (count(admin, "lines"), count(admin, "lines_old")) == (0, 1)
        assert list(operator.act(Opening(target.undo, "and back"))[0].values())[:2] == [1, 1]
    assert (count(admin, "lines"), count(admin, "lines_old")) == (1, 0)


_MANY = """
insert into orders select n, '2020-01-01'::timestamptz + n * interval '1 minute'
  from generate_series(1, {orders}) n;
insert into lines select n, n % {orders} + 1 from generate_series(1, {lines}) n;
analyze orders, lines;
"""


@pytest.mark.parametrize(
    ("orders", "lines", "archives", "missing"),
    [
        (10, 10, _BARE, []),
        (10, 10_001, _BARE, ['lines_old ("o")']),
        (100_001, 10, _BARE, ['orders_old ("at")']),
        (100_001, 10_001, _BARE, ['orders_old ("at")', 'lines_old ("o")']),
        (100_001, 10_001, "", []),
        (100_001, 10_001, f"{_BARE} create index on orders_old using brin (at);"
         " create index on lines_old using hash (o)", ['orders_old ("at")']),
    ],
)  # fmt: skip
def test_an_undo_is_promised_only_where_the_archives_can_be_searched_for_the_rows(
    server: Databases,
    shop: psycopg.Connection[Any],
    orders: int,
    lines: int,
    archives: str,
    missing: list[str],
) -> None:
    """Without an index each batch back would read a whole archive until it is cut off."""
    done(shop, "truncate orders, lines; " + archives)
    done(shop, _MANY.format(orders=orders, lines=lines))
    draft = proposed(seen(server, **WITH_LINES))
    says = [f"create index on public.{what}" for what in missing]
    assert [text.partition(": create")[2] for text in draft.not_undoable] == [f" {text[7:]}" for text in says]
    assert (draft.targets[0].undo is None, bool(draft.undo)) == (bool(missing), not missing)


def test_what_lies_in_the_archive_already_counts_for_the_way_back(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """A few rows are hard to find among many of other years."""
    done(shop, _BARE)
    assert proposed(seen(server, **WITH_LINES)).undo
    done(shop, "insert into lines_old select -n, -n from generate_series(1, 20000) n; analyze lines_old")
    assert not proposed(seen(server, **WITH_LINES)).undo


def test_rows_that_cannot_be_told_apart_are_no_matter_of_an_index(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """Whoever makes the index would find that nothing is undone all the same."""
    done(shop, "drop table lines cascade; drop index orders_old_at_idx")
    done(shop, "insert into orders_old values (99, '2020-01-05')")
    done(shop, "insert into orders_old select -n, '2019-01-01' from generate_series(1, 100000) n")
    done(shop, "analyze orders_old")
    (why,) = proposed(seen(server)).not_undoable
    assert "other rows of the same time" in why


@pytest.mark.parametrize(("method", "open_"), [("brin", False), ("btree", True)])
def test_of_a_large_table_rows_are_read_in_the_order_of_their_time_or_not_at_all(
    server: Databases, shop: psycopg.Connection[Any], method: str, open_: bool
) -> None:
    """By a BRIN index each batch would read and sort all old rows."""
    done(shop, "truncate orders, lines; drop index orders_at")
    done(shop, _MANY.format(orders=100_001, lines=1))
    done(shop, f"create index on orders using {method} (at)")
    found = seen(server, **WITH_LINES)
    if open_:
        assert found.against == ()
    else:
        refused(found, "no btree index of public.orders begins with its time")


@pytest.mark.parametrize(
    ("method", "open_"), [("brin (o)", False), ("hash (o)", True), ("btree (o, n)", True)]
)
def test_rows_that_hang_on_others_are_looked_up_one_by_one(
    server: Databases, shop: psycopg.Connection[Any], method: str, open_: bool
) -> None:
    """By a BRIN index the foreign key would read a part of the table for each order that goes."""
    done(shop, f"drop index lines_o; create index on lines using {method}")
    found = seen(server, **WITH_LINES)
    if open_:
        assert found.against == ()
    else:
        refused(found, "no index begins with lines.o")


@pytest.mark.parametrize("act", ["set null", "set default"])
@pytest.mark.parametrize(
    "watches",
    [
        "create trigger noisy before update on visits for each row execute function noisy()",
        "create trigger noisy after update of o on visits for each row execute function noisy()",
        "create rule noisy as on update to visits do also nothing",
    ],
)
@pytest.mark.parametrize("rule", [{}, {"archive": ""}])
def test_what_runs_where_a_link_to_the_rows_is_emptied_stands_in_the_way(
    server: Databases, shop: psycopg.Connection[Any], act: str, watches: str, rule: dict[str, str]
) -> None:
    """A trigger that keeps the link leaves one to a row that is gone; another writes who knows what."""
    done(shop, "drop table lines cascade")
    done(shop, _NOISY.format(act=act))
    assert seen(server, **rule).against == ()
    done(shop, watches)
    refused(seen(server, **rule), "the trigger noisy of visits runs on update")


@pytest.mark.parametrize("when", ["update of page", "insert or delete"])
def test_what_does_not_run_where_a_link_is_emptied_stands_in_nobodys_way(
    server: Databases, shop: psycopg.Connection[Any], when: str
) -> None:
    """The foreign key writes to one column, and removes no row."""
    done(shop, "drop table lines cascade")
    done(shop, _NOISY.format(act="set null"))
    done(shop, f"create trigger noisy before {when} on visits for each row execute function noisy()")
    assert seen(server).against == ()


@pytest.mark.parametrize(
    "altered",
    [
        "create trigger noisy before update on visits for each row execute function noisy()",
        "create rule noisy as on update to visits do also nothing",
    ],
)
def test_a_trigger_that_comes_to_a_table_with_links_on_the_way_ends_the_move(
    server: Databases, shop: psycopg.Connection[Any], altered: str
) -> None:
    """It is asked for between two batches, and the mark tells whether to ask."""
    done(shop, _NOISY.format(act="set null"))
    done(shop, "create rule known as on insert to visits do also nothing")
    identity = {"table": ("public", "orders")}
    with closing(entered(server)) as database:
        before = [ask(database, identity) for ask in (old_rows_facts.mark, old_rows_facts.structure)]
        done(shop, altered)
        after = [ask(database, identity) for ask in (old_rows_facts.mark, old_rows_facts.structure)]
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize("archive", ["orders_old", "lines_old"])
def test_rows_that_hang_on_either_archive_would_be_deleted_by_the_way_back(
    server: Databases, shop: psycopg.Connection[Any], archive: str
) -> None:
    """Nobody has an archive for those."""
    done(shop, f"create table visits (o bigint references {archive} on delete cascade)")
    refused(seen(server, **WITH_LINES), f"rows of visits hang on public.{archive}: to move back would")


def test_only_the_archive_that_goes_along_may_hang_on_the_other(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """A table of the same name in another schema stays behind."""
    hangs = "add foreign key (o) references orders_old on delete cascade"
    done(shop, f"alter table lines_old {hangs}")
    assert seen(server, **WITH_LINES).against == ()
    done(shop, f"create table billing.lines_old (o bigint); alter table billing.lines_old {hangs}")
    rule = {"along": {"lines": "public.lines_old"}}
    refused(seen(server, **rule), "rows of lines_old hang on public.orders_old: to move back would")


@pytest.mark.parametrize("archive", ["orders_old", "lines_old"])
def test_an_archive_that_a_crash_would_empty_takes_no_row(
    server: Databases, shop: psycopg.Connection[Any], archive: str
) -> None:
    """What is moved there would be in neither table."""
    done(shop, f"alter table {archive} set unlogged")
    refused(seen(server, **WITH_LINES), f"public.{archive} is unlogged: after a crash")


@pytest.mark.parametrize("act", ["on delete cascade", "on delete set null", ""])
def test_a_foreign_key_that_is_not_enforced_does_nothing(
    server: Databases, shop: psycopg.Connection[Any], act: str
) -> None:
    """Rows that hang by it stay where they are; enforced, the same key does something."""
    if shop.info.server_version < 180000:
        pytest.skip("foreign keys are enforced before PostgreSQL 18")
    done(shop, "drop table lines cascade")
    key = f"add constraint visits_o foreign key (o) references orders {act}"
    done(shop, f"create table visits (o bigint); alter table visits {key} not enforced")
    found = seen(server)
    assert (found.against, found.stays, found.rows) == ((), (), 10)
    done(shop, f"alter table visits drop constraint visits_o, {key}")
    assert seen(server).against


@pytest.mark.parametrize(
    ("along", "goes"),
    [
        ({"lines": "lines_old"}, False),
        ({"public.lines": "lines_old"}, False),
        ({"billing.lines": "billing.lines_old"}, True),
        ({"public.lines": "lines_old", "billing.lines": "billing.lines_old"}, True),
        ({"lines": "lines_old", '"billing".Lines': "billing.lines_old"}, True),
    ],
)
def test_an_archive_is_for_the_table_of_its_own_schema(
    server: Databases, shop: psycopg.Connection[Any], along: dict[str, str], goes: bool
) -> None:
    """Lines of the billing would be found among those of the shop."""
    done(shop, "alter table lines drop constraint lines_o_fkey")
    done(
        shop,
        "create table billing.lines (n bigint primary key, o bigint references orders on delete cascade)",
    )
    done(shop, "create index on billing.lines (o); insert into billing.lines values (1, 1)")
    done(shop, "create table billing.lines_old (like billing.lines including all)")
    found = seen(server, along=along)
    if goes:
        assert found.identity["child_archive"] == ["billing", "lines_old"]
    else:
        refused(found, "no archive is named for billing.lines")


def test_a_name_without_a_schema_is_enough_where_one_table_has_it(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """So files name them; a view or an index of that name elsewhere is no table."""
    done(shop, "create view billing.lines as select 1")
    assert seen(server, **WITH_LINES).identity["child"] == ["public", "lines"]


def test_rows_that_hang_on_others_and_are_in_their_archive_already_are_told_before(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """The batch with that line would fail, and all after it would never go."""
    done(shop, "insert into lines values (77, null); insert into lines_old values (77, null), (88, 999999)")
    assert seen(server, **WITH_LINES).against == ()
    done(shop, "insert into lines_old values (5, 999999)")
    refused(seen(server, **WITH_LINES), "1 of the rows that hang on them are in public.lines_old already")


def test_a_batch_stays_in_memory_however_little_the_role_has(
    server: Databases, shop: psycopg.Connection[Any]
) -> None:
    """On the disk it would hold its rows for longer; where files are forbidden to a role, it would fail."""
    done(shop, "insert into orders select n, '2020-01-01' from generate_series(11, 9000) n")
    (target,) = proposed(seen(server, **WITH_LINES), batch=9000).targets
    done(shop, "alter role opslib_operator set work_mem = '64kB'")
    done(shop, "alter role opslib_operator set temp_file_limit = '1kB'")
    try:
        with closing(entered(server, "operator")) as operator:
            (row,) = operator.act(Opening(target.act, "key"))
    finally:
        done(shop, "alter role opslib_operator reset work_mem")
        done(shop, "alter role opslib_operator reset temp_file_limit")
    assert row["moved"] == 9000
