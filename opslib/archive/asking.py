"""What a question to the index may name, and the statement that answers it quickly among a million runs.

Runs of one *kind* have all filtered values in common. There are few kinds, so a question is first put to
them; then either the runs of those kinds are sorted, or, where they are many, all runs are walked from the
newest on until there are enough. Both ways read an index only.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

KIND = ("procedure", "system", "environment", "verdict", "cause", "trigger", "actor")
MOST_SORTED = 20_000  # runs; more are quicker walked by time than sorted
PLACES = 12  # bits of an id that tell runs of one millisecond apart
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SORTED = "run indexed by run_by_kind"
_WALKED = "run indexed by run_by_time"


@dataclass(frozen=True)
class Filters:
    """Which runs are asked for; what is empty does not matter.

    Args:
        procedure, system, environment, verdict: as the run was asked for, and what it came to.
        cause: id of its first cause.
        trigger: what started it: manual, schedule, routine, api.
        actor: who started it.
        since: only runs that began at or after this moment, RFC 3339.
        until: only runs that began before this moment, RFC 3339.
        before: id of a run; only runs that stand after it where the newest come first.
    """

    procedure: str = ""
    system: str = ""
    environment: str = ""
    verdict: str = ""
    cause: str = ""
    trigger: str = ""
    actor: str = ""
    since: str = ""
    until: str = ""
    before: str = ""

    @property
    def kind(self) -> dict[str, str]:
        """The values that decide which kinds of runs are asked for."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if value and name in KIND}

    @property
    def bounds(self) -> dict[str, int | str]:
        """`since` and `until` as ids: the first that is wanted, the first that is not any more; `before`."""
        given = {"since": self.since, "until": self.until}
        places: dict[str, int | str] = {name: place(moment) for name, moment in given.items() if moment}
        return {**places, "before": self.before} if self.before else places

    def within(self, column: str) -> list[str]:
        """Return the conditions on the ids of runs.

        Args:
            column: the one that has the id.
        """
        own = "(select other.id from run as other where other.run_id = :before)"
        known = {"since": ">= :since", "until": "< :until", "before": f"< {own}"}
        return [f"{column} {known[name]}" for name in self.bounds]


def place(moment: str) -> int:
    """Return the first id of the runs that began at a moment (RFC 3339) or after it: ids follow time."""
    passed = (datetime.fromisoformat(moment) - _EPOCH) / _MILLISECOND
    return math.ceil(round(passed, 3)) << PLACES


def newest(database: sqlite3.Connection, filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the statement that finds the ids of the newest runs, and its values but for `:limit`.

    Args:
        database: the index; asked how many runs there are of the kinds in question.
        filters: which runs.
    """
    values = {**filters.kind, **filters.bounds}
    if not filters.kind:
        return _statement(_WALKED, filters.within("id")), values
    kinds = f"select id from kind where {same(filters.kind)}"
    ask = f"select coalesce(sum(runs), 0), max(last) from kind where {same(filters.kind)}"
    many, last = database.execute(ask, filters.kind).fetchone()
    conditions = [f"kind in ({kinds})", *filters.within("id")]
    if many <= MOST_SORTED:
        return _statement(_SORTED, conditions), values
    return _statement(_WALKED, [*conditions, "id <= :last"]), {**values, "last": last}


def counting(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the statement that counts runs by verdict, and its values."""
    conditions = [f"kind.{name} = :{name}" for name in filters.kind]
    where = " and ".join([*conditions, *filters.within("run.id")]) or "true"
    query = f"select kind.verdict, count(*) from kind join {_SORTED} on run.kind = kind.id"
    return f"{query} where {where} group by kind.verdict", {**filters.kind, **filters.bounds}


def same(kind: Mapping[str, Any]) -> str:
    """Return the condition that values are as given."""
    return " and ".join(f"{name} = :{name}" for name in kind)


def _statement(source: str, conditions: list[str]) -> str:
    where = " and ".join(conditions) or "true"
    return f"select id from {source} where {where} order by id desc limit :limit"
