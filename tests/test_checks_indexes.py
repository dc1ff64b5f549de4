"""What is said of indexes and tables on a real server: no false alarm, and no silence over a true one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd
import psycopg
import pytest

from opslib.changes import upkeep_tables
from opslib.checks import indexes, plans, statistics, vacuum, vectors
from opslib.config import Limit
from opslib.verdict import Finding, Status
from tests.answers import administrator, monitor, stranger

SYSTEM = "kulti"
OWN = "upkeep_cases"
# What this session has counted is known to all others from then on.
FLUSH = "select pg_stat_force_next_flush()"
PCT = Limit(warning=20, critical=50, unit="%")
Look = Callable[..., pd.DataFrame]


@pytest.fixture
def admin(sandbox: object) -> Iterator[psycopg.Connection]:
    """An administrator in a schema of the test's own, which is gone afterwards."""
    with administrator(SYSTEM) as connection:
        connection.execute(f"create schema {OWN}".encode())
        connection.execute(f"set search_path = {OWN}, extensions".encode())
        yield connection
        connection.execute(f"drop schema {OWN} cascade".encode())


@pytest.fixture
def look(admin: psycopg.Connection) -> Iterator[Look]:
    """Ask a packaged statement as the monitor; only the rows of the test's own schema are kept."""

    def asked(name: str, /, **params: object) -> pd.DataFrame:
        found = database.table(name, **params)
        return found[found["schema"].eq(OWN)]

    with monitor(SYSTEM) as database:
        yield asked


def run(connection: psycopg.Connection, *statements: str) -> None:
    """Run statements one by one."""
    for statement in statements:
        connection.execute(statement.encode())


def lacking(look: Look) -> dict[str, int]:
    """Return the tables that lack an index for a foreign key, with the rows that a delete reads."""
    found = indexes.missing(look("foreign_keys_without_index"))
    return dict(zip(found["table_name"], found["read_rows"], strict=True))


def test_an_index_that_serves_a_foreign_key_by_half_or_without_nulls_is_none_that_lacks(
    admin: psycopg.Connection, look: Look
) -> None:
    """PostgreSQL reads them for a delete; but one over a single value reads the whole table all the same."""
    run(
        admin,
        "create table pairs (shop int, id int, primary key (shop, id))",
        "insert into pairs select 1, n from generate_series(1, 1000) n",
        "create table halves (shop int, pair int, foreign key (shop, pair) references pairs)",
        "insert into halves select 1, 1 + n % 1000 from generate_series(1, 12000) n",
        "create table partial (like halves, foreign key (shop, pair) references pairs)",
        "insert into partial select * from halves",
        "create table other (like halves, foreign key (shop, pair) references pairs)",
        "insert into other select * from halves",
        "create index on halves (shop)",
        "create index on partial (shop, pair) where shop is not null and pair is not null",
        "create index on other (shop, pair) where shop > 1",
        "analyze halves, partial, other",
    )
    assert lacking(look) == {"halves": 12000, "other": 12000}
    (told,) = [f for f in indexes.foreign_keys(look("foreign_keys_without_index")) if "halves" in f.subject]
    assert "reads 12000 rows by halves_shop_idx, in halves" in told.why
    run(admin, "create index on halves (pair)", "create index on other (pair) where pair is not null")
    assert lacking(look) == {}


def test_an_index_serves_a_foreign_key_by_the_columns_in_which_the_server_can_search_for_it(
    admin: psycopg.Connection, look: Look
) -> None:
    """Not in another collation, not for a key of another kind, not by what it only includes."""
    rows = "insert into {} select n, 1 + n % 1000 from generate_series(1, 12000) n"
    run(
        admin,
        "create extension btree_gist",
        "create table words (word text primary key)",
        "insert into words select n::text from generate_series(1, 1000) n",
        "create table said (id int, word text references words)",
        rows.format("said"),
        'create index on said (word collate "C")',
        "create table exact (id numeric primary key)",
        "insert into exact select generate_series(1, 1000)",
        "create table counts (id int, exact int references exact)",
        rows.format("counts"),
        "create index on counts (exact)",
        "create table pairs (a int, b int, primary key (a, b))",
        "insert into pairs select 1, generate_series(1, 1000)",
        "create table halves (b int, id int, a int default 1, foreign key (a, b) references pairs)",
        "insert into halves (id, b) select n, 1 + n % 1000 from generate_series(1, 12000) n",
        "create index on halves (a) include (b)",
        "create table rooms (id bigint primary key)",
        "insert into rooms select generate_series(1, 1000)",
        "create table booked (n int, room bigint references rooms, during int4range,"
        " exclude using gist (room with =, during with &&))",
        "insert into booked select n, 1 + n % 1000, int4range(n, n + 1) from generate_series(1, 12000) n",
        "create domain word as varchar(20)",
        "create table heard (n int, word word references words)",
        rows.format("heard"),
        "create index on heard (word)",
        "analyze said, counts, halves, booked, heard",
    )
    assert set(lacking(look)) == {"said", "counts", "halves"}
    run(admin, "create index on said (word)", "create index on halves (b, a, id)")
    assert set(lacking(look)) == {"counts"}


def test_a_key_that_is_served_by_half_is_unknown_where_nothing_is_known_of_its_values(
    admin: psycopg.Connection, look: Look
) -> None:
    """Never analyzed, or hidden from our role: a delete may read the whole table."""
    run(
        admin,
        "create table pairs (a int, b int, primary key (a, b))",
        "insert into pairs select 1, generate_series(1, 1000)",
        "create table halves (a int, b int, foreign key (a, b) references pairs)"
        " with (autovacuum_enabled = off)",
        "insert into halves select 1, 1 + n % 1000 from generate_series(1, 12000) n",
        "create index on halves (a)",
        FLUSH,
    )
    (found,) = indexes.foreign_keys(look("foreign_keys_without_index"))
    assert found.status is Status.UNKNOWN and f"of {OWN}.halves" in found.why
    run(admin, "analyze halves")
    assert set(lacking(look)) == {"halves"}
    with stranger(SYSTEM, "pg_monitor") as plain:
        keys = plain.table("foreign_keys_without_index")
        (found,) = indexes.foreign_keys(keys[keys["schema"].eq(OWN)])
    assert found.status is Status.UNKNOWN and "pg_read_all_data" in found.why
    run(admin, "delete from halves where b > 100", "vacuum analyze halves")
    assert {f.status for f in indexes.foreign_keys(look("foreign_keys_without_index"))} == {Status.OK}


def test_a_foreign_key_that_nobody_enforces_needs_no_index(admin: psycopg.Connection, look: Look) -> None:
    """No delete looks for it."""
    if admin.info.server_version < 180000:
        pytest.skip("each key is enforced before 18")
    run(
        admin,
        "create table parents (id int primary key)",
        "insert into parents select generate_series(1, 100)",
        "create table loose (id int, parent int references parents not enforced)",
        "insert into loose select n, 1 + n % 100 from generate_series(1, 12000) n",
        "analyze loose",
    )
    assert lacking(look) == {}
    run(admin, "alter table loose alter constraint loose_parent_fkey enforced")
    assert set(lacking(look)) == {"loose"}


def test_an_index_that_serves_a_key_by_half_is_kept_where_no_other_serves_it(
    admin: psycopg.Connection, look: Look
) -> None:
    """Without it each delete would read the whole table, though no query may have asked for it so far."""
    run(
        admin,
        "create table pairs (a int, b int, primary key (a, b))",
        "create table halves (id int, a int, b int, foreign key (a, b) references pairs)",
        "create index half on halves (b)",
        "create index nothing on halves (id, a)",
        "create index including on halves (a) include (b)",
    )

    def idle() -> set[str]:
        return set(indexes.idle(look("indexes", schema="", name=""), Limit(warning=0))["index_name"])

    assert idle() == {"nothing"}
    run(admin, "create index whole on halves (b, a)")
    assert idle() == {"nothing", "half"}


def test_a_foreign_key_of_a_table_with_partitions_or_without_statistics_counts_its_rows(
    admin: psycopg.Connection, look: Look
) -> None:
    """The catalog alone knows of no row there; partitions that have an index each lack none."""
    run(
        admin,
        "create table parents (id int primary key)",
        "insert into parents select generate_series(1, 100)",
        "create table parted (id int, parent int references parents) partition by range (id)",
        "create table parted_low partition of parted for values from (0) to (20000)",
        "create table parted_high partition of parted for values from (20000) to (40000)",
        "insert into parted select n, 1 + n % 100 from generate_series(1, 30000) n",
        "create table fresh (parent int references parents) with (autovacuum_enabled = off)",
        "insert into fresh select 1 + n % 100 from generate_series(1, 11000) n",
        FLUSH,
        "analyze parted_low, parted_high",
    )
    assert lacking(look) == {"parted": 30000, "fresh": 11000}
    run(admin, "create index on parted_low (parent)")
    assert lacking(look) == {"parted": 10001, "fresh": 11000}
    run(admin, "create index on parted_high (parent)")
    assert lacking(look) == {"fresh": 11000}
    assert [f.status for f in indexes.foreign_keys(look("foreign_keys_without_index"))] == [Status.WARNING]


def test_indexes_that_differ_in_their_options_do_not_do_the_same(
    admin: psycopg.Connection, look: Look
) -> None:
    """A summary of 100 000 pages spares no reading that one of 128 does; how full pages are is all one."""
    run(
        admin,
        "create table trail (at int, key int)",
        "create index coarse on trail using brin (at) with (pages_per_range = 100000)",
        "create index fine on trail using brin (at)",
        "create index packed on trail (key)",
        "create index loose on trail (key) with (fillfactor = 70, deduplicate_items = off)",
    )
    found = look("duplicate_indexes")
    assert list(zip(found["index_name"], found["covered_by"], strict=True)) == [("loose", "packed")]


def test_temporary_tables_are_nobody_s_to_tend(admin: psycopg.Connection) -> None:
    """Another session's can be neither vacuumed nor analyzed, and its broken index goes with it."""
    run(
        admin,
        "create temp table staging (id int)",
        "insert into staging select 1 from generate_series(1, 20000) n",
        "delete from staging",
        "create index staged on staging (id)",
        "update pg_index set indisvalid = false where indexrelid = 'staged'::regclass",
        FLUSH,
    )
    with monitor(SYSTEM) as database:
        tended = database.table("tended_tables", schema="", name="")
        need = database.table("autovacuum_need", rows=200)
        broken = database.table("invalid_indexes")
    assert "staging" not in {*tended["table_name"], *need["table_name"]}
    assert not broken["table_name"].str.contains("staging").any()


def wasted(look: Look, name: str) -> dict[str, float]:
    """Return the estimates, in per cent, of the tables or indexes that could be estimated."""
    found = look(f"{name}_bloat_estimate", min_bytes=0).dropna(subset="bloat_pct")
    return dict(zip(found[f"{name}_name"], found["bloat_pct"], strict=True))


def test_a_table_that_was_just_filled_is_not_called_bloated(admin: psycopg.Connection, look: Look) -> None:
    """Narrow columns before wide ones are padded; the width of a column without statistics nobody knows."""
    run(
        admin,
        "create table flags (a bool, b timestamptz, c bool, d bigint, e bool, f int, g smallint, h bigint)",
        "insert into flags select true, now(), true, n, true, n, 1, n from generate_series(1, 20000) n",
        "create table blind (id int, body text)",
        "alter table blind alter body set statistics 0",
        "insert into blind select n, repeat('x', 900) from generate_series(1, 500) n",
        "create table half (like flags)",
        "insert into half select * from flags",
        "delete from half where h % 2 = 0",
        "vacuum analyze flags, blind, half",
    )
    found = wasted(look, "table")
    assert found["flags"] < 2 and "blind" not in found
    assert 48 < found["half"] < 52


def test_an_index_over_long_values_is_not_called_bloated_and_one_over_short_ones_is(
    admin: psycopg.Connection, look: Look
) -> None:
    """Its entries are whole, while the table keeps a pointer; what else is out of line excuses nothing."""
    long = "(select string_agg(md5(concat(n, i)), '') from generate_series(1, 70) i)"
    run(
        admin,
        "create table links (id int, word varchar(40), url text)",
        f"insert into links select n, md5(n::text), {long} from generate_series(1, 3000) n",
        "create index on links (url)",
        "create index on links (word)",
        "delete from links where id % 10 > 0",
        "reindex index links_url_idx",
        "vacuum (analyze, index_cleanup on) links",
    )
    found = wasted(look, "index")
    assert found["links_url_idx"] < indexes.BLOAT_PCT < 80 < found["links_word_idx"]


def test_an_index_of_which_a_part_of_the_values_is_long_is_not_called_bloated_right_after_its_rebuild(
    admin: psycopg.Connection, look: Look
) -> None:
    """A sample keeps the short ones only; else it would be built anew for ever."""
    long = "(select string_agg(md5(concat(n, i)), '') from generate_series(1, 70) i)"
    run(
        admin,
        "create table links (url text, kind text) with (autovacuum_enabled = off)",
        f"insert into links select case n % 5 when 0 then {long} else concat('https://x/', n) end,"
        " concat('kind ', n % 4) from generate_series(1, 5000) n",
        "create index on links (url)",
        "create index on links (kind) with (deduplicate_items = off)",
        "delete from links where kind <> 'kind 1'",
        "vacuum analyze links",
        "reindex index links_url_idx",
        "analyze links",
    )
    found = wasted(look, "index")
    assert found["links_url_idx"] < indexes.BLOAT_PCT < found["links_kind_idx"]


def test_indexes_without_statistics_are_counted_apart_as_they_are_after_an_upgrade(
    admin: psycopg.Connection, look: Look
) -> None:
    """Of mostly dead entries nothing is known; and after pg_upgrade the catalog says that all are empty."""
    run(
        admin,
        "create table blind (id int) with (autovacuum_enabled = off)",
        "insert into blind select generate_series(1, 3000)",
        "create index on blind (id)",
    )
    for _ in range(2):
        (told,) = indexes.bloat(look("index_bloat_estimate", min_bytes=16384))
        assert told.status is Status.SKIPPED and told.why.startswith(
            "1 of 1 large indexes have no statistics"
        )
        upgraded = "update pg_class set relpages = 0, reltuples = 0 where relname = 'blind_id_idx'"
        run(admin, "analyze blind", upgraded)
    run(admin, "analyze blind")
    assert indexes.bloat(look("index_bloat_estimate", min_bytes=16384))[0].observed.startswith("1 large")


def test_tables_without_statistics_are_counted_apart_from_those_that_were_looked_at(
    admin: psycopg.Connection, look: Look
) -> None:
    """An estimate that was not made is no good news."""
    run(
        admin,
        "create table blind (id int)",
        "alter table blind alter id set statistics 0",
        "insert into blind select generate_series(1, 3000)",
        "vacuum analyze blind",
    )
    (told,) = vacuum.bloat(look("table_bloat_estimate", min_bytes=8192))
    assert told.status is Status.SKIPPED and told.why.startswith("1 of 1 large tables have no statistics")


def test_tables_of_an_upgraded_server_are_not_called_small(admin: psycopg.Connection, look: Look) -> None:
    """Until somebody analyzes them the catalog says that they have no page, and no row was counted."""
    upgraded = "update pg_class set relpages = 0, reltuples = -1 where relname = 'moved'"
    run(
        admin,
        "create table kinds (id int primary key)",
        "insert into kinds values (1)",
        "create table moved (id int references kinds, body text) with (autovacuum_enabled = off)",
        "insert into moved select 1, repeat('x', 100) from generate_series(1, 10000) n",
        "vacuum analyze moved",
        FLUSH,
        f"{upgraded} returning pg_stat_reset_single_table_counters(oid)",
    )
    with monitor(SYSTEM) as database:
        counted = database.table("counted_since")
    (old,) = statistics.stale(look("tended_tables", schema="", name=""), PCT, counted.assign(tracked=True))
    assert (old.cause, old.observed) == (statistics.STALE, "none, over 1.35 MB")
    (key,) = indexes.foreign_keys(look("foreign_keys_without_index"))
    assert key.status is Status.UNKNOWN and f"{OWN}.moved" in key.why
    scan = {"schema": OWN, "table_name": "moved", "column_name": "body", "condition": "(moved.body = $1)"}
    scans = pd.DataFrame(
        [scan | {"way": "column", "asked": "body", "rows_wanted": 1, "calls": 1, "total_ms": 1.0}]
    )
    (scanned,) = plans.missing_indexes(scans, look("table_scans"))
    assert scanned.status is Status.SKIPPED and f"analyze them: {OWN}.moved" in scanned.why
    (told,) = vacuum.bloat(look("table_bloat_estimate", min_bytes=1_000_000))
    assert told.status is Status.SKIPPED and "1 of 1 large tables" in told.why
    run(admin, "analyze moved")
    (told,) = vacuum.bloat(look("table_bloat_estimate", min_bytes=1_000_000))
    assert (told.status, told.observed) == (Status.OK, "1 table looked at")


def test_a_column_that_is_computed_when_it_is_read_hides_no_bloat(
    admin: psycopg.Connection, look: Look
) -> None:
    """It takes no room, and has no statistics for that reason."""
    if admin.info.server_version < 180000:
        pytest.skip("no such columns before 18")
    run(
        admin,
        "create table loud (id int, said text, loud text generated always as (upper(said)) virtual)"
        " with (autovacuum_enabled = off)",
        "insert into loud select n, repeat('x', 200) from generate_series(1, 10000) n",
        "vacuum analyze loud",
    )
    full = wasted(look, "table")["loud"]
    run(admin, "delete from loud where id % 10 > 0", "vacuum analyze loud")
    assert full < 3 and wasted(look, "table")["loud"] > 85


def test_rows_of_which_only_one_fits_into_a_page_are_not_called_bloated(
    admin: psycopg.Connection, look: Look
) -> None:
    """What is left of each page stays empty after any rewrite."""
    run(
        admin,
        "create table wide (id int, body text) with (toast_tuple_target = 8160)",
        "alter table wide alter body set storage plain",
        "insert into wide select n, repeat('x', 4100) from generate_series(1, 300) n",
        "vacuum analyze wide",
    )
    assert wasted(look, "table")["wide"] < 2


@pytest.mark.parametrize(
    ("build", "different"),
    [
        ("hnsw (v vector_l2_ops)", 4000), ("ivfflat (v vector_cosine_ops)", 10),
        ("ivfflat (v vector_ip_ops)", 10),
    ],
)  # fmt: skip
def test_of_vectors_that_are_equally_near_any_is_right_and_only_the_named_index_is_judged(
    sandbox: object, build: str, different: int
) -> None:
    """The same text twice has the same vector; and the planner asks whichever index it likes best."""
    with administrator("klutr") as admin, monitor("klutr") as database:
        if not admin.execute("select from pg_extension where extname = 'vector'").fetchall():
            pytest.skip("no pgvector in this PostgreSQL")

        def judged(name: str) -> Finding:
            rows = database.table("indexes", schema=OWN, name=name)
            found = vectors.recall(database.table, rows, [OWN, name])
            return vectors.judged(found, [OWN, name], Limit(warning=50, unit="%"))

        try:
            run(
                admin,
                f"create schema {OWN}",
                f"set search_path = {OWN}, extensions, public",
                "create table texts (v vector(64))",
                f"insert into texts select array_agg(sin(i * (1 + n % {different})))::vector"
                " from generate_series(1, 8000) n, generate_series(1, 64) i group by n",
                f"create index near on texts using {build}",
                "analyze texts",
                f"grant usage on schema {OWN} to pg_monitor",
                "grant select on texts to pg_monitor",
            )
            assert judged("near").status is Status.OK
            run(admin, f"create index twin on texts using {build}")
            both = [judged("near"), judged("twin")]
            assert {finding.status for finding in both} == {Status.OK, Status.UNKNOWN}
            assert any("asks another index" in finding.why for finding in both)
        finally:
            run(admin, f"drop schema if exists {OWN} cascade")


def test_what_a_table_stores_out_of_line_is_looked_at_as_its_rows_are(
    admin: psycopg.Connection, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few long documents that change often fill the disk while the table itself stays small."""
    run(
        admin,
        "create table documents (id int, body text)"
        " with (autovacuum_enabled = off, toast.autovacuum_enabled = off)",
        "alter table documents alter body set storage external",
        "insert into documents select n, repeat('x', 100000) from generate_series(1, 20) n",
        *["update documents set body = body || 'y'"] * 11,
        FLUSH,
    )
    need, tended = (look("autovacuum_need", rows=200), look("tended_tables", schema="", name=""))
    with monitor(SYSTEM) as database:
        counted = database.table("counted_since")
    (dead,) = vacuum.dead_rows(need, PCT, counted)
    assert (dead.subject, dead.status) == (f"{OWN}.documents (TOAST)", Status.WARNING)
    assert dead.next_parameters == {"tables": [f"{OWN}.documents"]}
    draft = upkeep_tables.tables(["bloat"], tended, PCT, PCT, PCT)
    assert draft is not None and [target.name for target in draft.targets] == [f"vacuum {OWN}.documents"]
    assert "and 11220 pieces of long values" in draft.targets[0].effect
    run(admin, "vacuum (analyze) documents")
    after = vacuum.dead_rows(look("autovacuum_need", rows=200), PCT, counted)
    assert [f.status for f in after] == [Status.OK]
    monkeypatch.setattr(vacuum, "ENOUGH_BLOAT_BYTES", 10_000_000)
    wasted = look("table_bloat_estimate", min_bytes=1_000_000)
    (bloat,) = vacuum.bloat(wasted)
    assert bloat.subject == f"{OWN}.documents (TOAST)" and bloat.next_parameters == dead.next_parameters
    (price,) = vacuum.rewrite(wasted).to_dict("records")
    assert (price["mb_now"], price["mb_given_back"]) == (24, 22)
