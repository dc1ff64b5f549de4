"""The tables that old rows are moved out of: the runbook's own, and one on which nothing hangs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_TEXT = "repeat('word ', 20)"
_INDEXES = b"""select i.indexname, i.indexdef from pg_indexes i
    where i.tablename = %s and i.schemaname = 'public' and i.indexname not like '%%_pkey'"""
_AT = (
    "case when n <= {rows} then now() - interval '366 days' - ({rows} - n) * interval '1 second'"
    " else now() - ({all} - n) * interval '5 seconds' end"
)


@dataclass(frozen=True)
class Tables:
    """A table with an archive beside it, and an app that works at it.

    Args:
        name: what to call it.
        table: its name; the archive's is the same and `_archive`.
        made: statements that fill it: `{all}` rows, `{rows}` of them old, with whatever hangs on them.
        before_rows: how many of those come before any row.
        new, old: what the app does all the time; `{key}` is another at each turn, for `old` an old row's.
        child: table whose rows hang on the old ones, with an archive of its own; "" for none.
        saved: what the runbook would have to say first, so that it does not lose the rows of the child.
    """

    name: str
    table: str
    made: tuple[str, ...]
    new: str
    old: str
    before_rows: int
    child: str = ""
    saved: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The tables of which no row may be lost."""
        return (self.table, self.child) if self.child else (self.table,)


RUNBOOK = Tables(
    "the runbook's table: five indexes, answers hang on the rows, calls point to them",
    "scenario_attempts",
    made=(
        "truncate scenario_attempts, scenario_attempts_archive, attempt_answers, attempt_answers_archive,"
        " voice_calls restart identity cascade",
        "insert into scenario_attempts (org_id, scenario_id, user_id, status, score, transcript, started_at,"
        f" ended_at) select o.id, s.id, u.id, 'completed', n % 100, {_TEXT}, {_AT}, {_AT}"
        " from generate_series(1, {all}) n, (select id from organizations limit 1) o,"
        " (select id from scenarios limit 1) s, (select id from users limit 1) u order by n",
        "insert into attempt_answers (attempt_id, question, answer, points)"
        " select n, 1, 'because', 1 from generate_series(1, {rows}, 5) n",
    ),
    new="insert into scenario_attempts (org_id, scenario_id, user_id, status) select org_id, scenario_id,"
    " user_id, 'running' from scenario_attempts order by id desc limit 1",
    old="update scenario_attempts set score = 71 where id = {key}",
    before_rows=1,
    child="attempt_answers",
    saved="insert into attempt_answers_archive select c.* from attempt_answers c"
    " join scenario_attempts t on t.id = c.attempt_id where t.ended_at < now() - interval '1 year'",
)
_COLUMNS = "id bigint primary key, org uuid not null, score int, transcript text, ended_at timestamptz"
ALONE = Tables(
    "a table with one index besides its key, on which nothing hangs",
    "attempts_alone",
    made=(
        "drop table if exists attempts_alone, attempts_alone_archive",
        f"create table attempts_alone ({_COLUMNS}); create table attempts_alone_archive ({_COLUMNS})",
        "create index on attempts_alone (ended_at)",
        "alter table attempts_alone owner to app_voiceaitraining;"
        " alter table attempts_alone_archive owner to app_voiceaitraining",
        "insert into attempts_alone select n, md5((n % 30)::text)::uuid, n % 100,"
        f" {_TEXT}, {_AT} from generate_series(1, {{all}}) n",
    ),
    new=f"insert into attempts_alone values ({{key}}, md5('w')::uuid, 1, {_TEXT}, now())",
    old="update attempts_alone set score = score + 1 where id = {key}",
    before_rows=4,
)
SHAPES = (RUNBOOK, ALONE)


def fill(admin: Any, tables: Tables, rows: int) -> None:
    """Fill the tables: of five rows one is old, as after a quarter where a year stays; note their keys."""
    # As pg_restore does it: no foreign key is looked up for what is known to be whole, and indexes come last.
    _run(admin, "set session_replication_role = replica", *tables.made[: tables.before_rows])
    indexes = admin.execute(_INDEXES, [tables.table]).fetchall()
    _run(admin, *(f"drop index {name}" for name, _ in indexes))
    _run(admin, *(text.format(rows=rows, all=5 * rows) for text in tables.made[tables.before_rows :]))
    _run(admin, *(text for _, text in indexes), "reset session_replication_role")
    for name in tables.kept:
        _run(admin, f"drop table if exists {name}_keys", f"vacuum (analyze) {name}")
        # Nobody's rows but ours: the server must not tidy them up while somebody's time is taken.
        _run(admin, f"create table {name}_keys with (autovacuum_enabled = off) as select id from {name}")


def lost_and_doubled(admin: Any, tables: Tables) -> tuple[int, int]:
    """Return how many of the rows that were there at first are in neither table, and in both, by key."""
    lost = twice = 0
    for name in tables.kept:
        neither = f"""select count(*) from {name}_keys k
            where not exists (select from {name} t where t.id = k.id)
            and not exists (select from {name}_archive a where a.id = k.id)"""
        lost += admin.execute(neither.encode()).fetchone()[0]
        both = f"select count(*) from {name} t join {name}_archive a using (id)"
        twice += admin.execute(both.encode()).fetchone()[0]
    return lost, twice


def _run(admin: Any, *statements: str) -> None:
    for statement in statements:
        admin.execute(statement.encode())
