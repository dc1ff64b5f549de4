"""The tables from which old rows are moved: the runbook's own, and one on which nothing hangs."""

from __future__ import annotations

from dataclasses import dataclass, field

_PAYLOAD = "repeat('word ', 20)"


@dataclass(frozen=True)
class Tables:
    """A table, its archive, and how an app works at it.

    Args:
        table: its name; the archive's is the same with `_archive`.
        made: statements that fill it; `{rows}` old ones, `{young}` others, and whatever hangs on them.
        new, old: what the app does all the time; `{key}` is another at each turn.
        children: table of the rows that hang on them -> their archive.
    """

    table: str
    made: tuple[str, ...]
    new: str
    old: str
    children: dict[str, str] = field(default_factory=dict)


_ONE = ", (select id from {0} order by id limit 1) as {0}"
RUNBOOK = Tables(
    "scenario_attempts",
    made=(
        "truncate scenario_attempts, scenario_attempts_archive, attempt_answers, attempt_answers_archive,"
        " voice_calls restart identity cascade",
        # As pg_restore fills a table: no foreign key is looked up for what is known to be whole.
        "set session_replication_role = replica",
        "insert into scenario_attempts (org_id, scenario_id, user_id, status, score, transcript, started_at,"
        f" ended_at) select o.id, s.id, u.id, 'completed', n % 100, {_PAYLOAD}, at - interval '9 minutes', at"
        " from (select n, case when n <= {rows} then now() - interval '366 days' - ({rows} - n) * interval"
        " '1 second' else now() - ({rows} + {young} - n) * interval '5 seconds' end as at"
        " from generate_series(1, {rows} + {young}) n) n,"
        " (select id from organizations order by id limit 1) o, (select id from scenarios order by id limit 1)"
        " s, (select id from users order by id limit 1) u order by n",
        "insert into attempt_answers (attempt_id, question, answer, points)"
        " select n, 1, 'because', 1 from generate_series(1, {rows}, 5) n",
        "reset session_replication_role",
    ),
    new="insert into scenario_attempts (org_id, scenario_id, user_id, status, transcript)"
    " select org_id, scenario_id, user_id, 'running', 'new' from scenario_attempts order by id desc limit 1",
    old="update scenario_attempts set score = 71 where id = {key}",
    children={"attempt_answers": "attempt_answers_archive"},
)  # fmt: skip
