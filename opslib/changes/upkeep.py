"""Upkeep of tables and indexes: vacuum, analyze, build, rebuild and drop, one relation a target.

What a command has done shows in the catalog and the statistics only: it answers nothing, and without
the right to it VACUUM merely warns. So each target is looked at before and after, by the role that acts.
"""

from __future__ import annotations

from typing import Any, ClassVar

from opslib.acts import Statement
from opslib.changes import Kind, Means
from opslib.changes.upkeep_targets import (
    ANALYZE,
    COVER,
    CREATE,
    DONE,
    MARKS,
    NEVER,
    NEW,
    NOTE,
    REFRESH,
    REFRESH_BESIDE,
    REINDEX,
    VACUUM,
    Row,
    as_now,
    covering,
    shown,
    size,
    stamp,
)
from opslib.gate.plan import Observed, Target

_TABLES = {VACUUM: ("vacuumed", "last_vacuum"), ANALYZE: ("analyzed", "last_analyze")}


class Upkeep(Kind):
    """The kind of change: looks at one table or index again."""

    LOCK: ClassVar[str] = "database"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 5.0

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._first: dict[str, str] = {}  # place of a target -> the view's mark at this run's first look
        self._refreshed: set[tuple[str, ...]] = set()  # views that were refreshed in this very run

    def observe(self, target: Target) -> Observed:
        """Look at the table or the index, and whether our role may tend it.

        Returns:
            Of a table: vacuumed or analyzed, when. Of an index: there, valid, definition, scans, and
            build: which one it is. Of a view: populated, and refreshed or noted, when. Nothing, with the
            reason, where our role may not.
        """
        done = _name(target)
        if done in (REFRESH, REFRESH_BESIDE, NOTE):
            return self._note(target) if done == NOTE else self._view(target, done)
        return self._table(target, *_TABLES[done]) if done in _TABLES else self._index(target, done)

    def _table(self, target: Target, what: str, last: str) -> Observed:
        row = self._row("tended_tables", target.identity["relation"])
        if row is None:
            return Observed({}, text="the table is gone")
        if not row["maintained"]:
            return _forbidden(row)
        at = stamp(row[last])
        was = target.before.get(what)
        # A reset of the counters, or a crash, forgets when: nothing was done by that.
        same = at in (was, NEVER)
        text = f"{what} {at}; {row['dead_rows']} dead rows, {row['changed_rows']} changed since"
        text += "; the server has begun to count anew since" if same and at != was else ""
        busy = "; locked by somebody now, so that it was skipped" if same and row["locked"] else ""
        return Observed({what: was if same else DONE}, pending=bool(row["in_progress"]), text=text + busy)

    def _index(self, target: Target, done: str) -> Observed:
        row = self._row("indexes", target.identity["relation"])
        if row is None:
            return self._absent(target, done)
        if not row["maintained" if done == REINDEX else "mine"]:
            return _forbidden(row)
        values = {name: row[name] for name in ("definition", "scans")}
        values |= self._cover(target)
        if done == CREATE:
            # Of an index that comes back the counting begins anew; it may come back for want of its cover.
            values |= {name: target.after[name] for name in ("scans", COVER) if name in target.after}
        build = as_now(row["build"])
        old = build == target.before.get("build")
        values |= {"there": True, "valid": row["is_valid"], "build": build if old else NEW}
        building = bool(row["in_progress"])
        state = "valid" if row["is_valid"] else "being built" if building else f"not valid: {row['leftover']}"
        failed = done == CREATE and not row["is_valid"] and not building
        was = self._means.settings.get("sizes", {}).get(shown(row))
        text = f"{state}, {size(row)}{f', {was} before' if was and not old else ''}, {row['scans']} scans"
        if COVER in values and not values[COVER]["definition"]:
            text += f"; {'.'.join(values[COVER]['index'])}, which was to do its work, is gone or not whole"
        return Observed(values, pending=building, text=text, failed=failed)

    def _cover(self, target: Target) -> dict[str, Any]:
        """Look at the index that is to do another one's work, where a target names one."""
        if COVER not in target.before:
            return {}
        place = target.before[COVER]["index"]
        return {COVER: covering(place, self._row("indexes", place))}

    def _view(self, target: Target, done: str) -> Observed:
        row = self._row("materialized_views", target.identity["relation"])
        if row is None:
            return Observed({}, text="the view is gone")
        if not row["maintained"]:
            return _forbidden(row)
        mark, was = as_now(row[MARKS[done]]), target.before["refreshed"]
        now = self._first.setdefault(target.place, mark) != mark
        if now:
            self._refreshed.add(tuple(target.identity["relation"]))
        # A grant changes the mark of a view as well, so that only a change in this run counts.
        same = not now and (done == REFRESH_BESIDE or mark == was)
        if same and row["held"] and row["populated"] and done == REFRESH:
            return Observed({}, text="somebody reads it now, and all others would wait behind; apply again")
        return Observed(
            {"refreshed": was if same else DONE, "populated": row["populated"]},
            text="as it was" if same else f"refreshed, {size(row)}", unmarked=same and mark != was,
        )  # fmt: skip

    def _note(self, target: Target) -> Observed:
        """Look at what is noted of a view; nothing may be noted of one that this run has not refreshed."""
        place = target.identity
        if tuple(place["relation"]) not in self._refreshed:
            return Observed({}, text="this run has not refreshed the view, so there is nothing to note")
        names = {key: place[key] for key in ("table", "view", "time")}
        found = self._means.database().table("view_refreshes", **names)
        times = found[found["view_name"].eq(place["name"])]["refreshed_at"]
        at = stamp(times.iloc[0] if len(times) else None)
        return Observed({"noted": at if at == target.before["noted"] else DONE}, text=f"noted {at}")

    def _absent(self, target: Target, done: str) -> Observed:
        """Return that there is no such index; one that is to be built also needs its table, and a right."""
        if done == CREATE:
            table = self._row("tended_tables", target.identity["table"])
            if table is None:
                return Observed({}, text="its table is gone")
            if not table["mine"]:
                return _forbidden(table)
        return Observed({"there": False}, text="not there")

    def _row(self, statement: str, relation: Any) -> Row | None:
        schema, name = relation
        found = self._means.database().table(statement, schema=schema, name=name)
        return {str(key): value for key, value in found.iloc[0].items()} if len(found) else None


KIND = Upkeep


def _name(target: Target) -> str:
    """Return which command a target is about; the way back of one is a command of its own."""
    return target.act.name if isinstance(target.act, Statement) else ""


def _forbidden(row: Row) -> Observed:
    of = row.get("table_name") or row["view_name"]
    text = f"opslib's role may not: {of} belongs to {row['owner']} (opslib doctor --sql, section 5)"
    return Observed({}, text=text)
