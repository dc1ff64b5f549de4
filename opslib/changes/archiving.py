"""Moving old rows into an archive table, or deleting them, batch by batch.

A target is one table and the literal times between which its rows go. Each batch is one statement and
one transaction, so that wherever it is cut off every row is in exactly one place; the next application
goes on from there. Counts and a checksum over the keys of both sides say that none was lost or doubled.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from opslib.acts import Statement
from opslib.changes import Kind, Means, archiving_words
from opslib.checks import compare, old_rows_facts, old_rows_look, retention
from opslib.errors import SourceError, Unreachable
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.gate.steps import PASSING
from opslib.pg import several, sql

if TYPE_CHECKING:
    import pandas as pd

    from opslib.checks.old_rows import Seen
    from opslib.config import Environment

_OTHER_SIDE = {
    "table": "archive", "archive": "table", "child": "child_archive", "child_archive": "child",
}  # fmt: skip
_AGAIN_S = 0.2
_COMPARED_S = 0.5
_PARTS = 16  # for each hand: the rows are never parted as wanted, and who is free takes the next part
# A batch holds its own rows while it moves them: so much takes a tenth of a second, on a slow disk one.
_BATCH_BYTES, _LEAST, _MOST, _UNKNOWN_ROW = 3 << 20, 500, 12_000, 2000


def draft(
    looks: Sequence[Seen], env: Environment, *, batch: int = 0, connections: int = 1,
    own: pd.DataFrame | None = None,
) -> Draft | None:  # fmt: skip
    """Propose to take out the old rows that were seen.

    Args:
        looks: from `old_rows_look.look`.
        env: where; its limits say when to make room for others.
        batch: rows in one transaction; 0 for as many as are moved in a moment.
        connections: how many batches go at once, each over a connection of its own.
        own: `retention.policies`, where rows are deleted by a policy, which must be the same until the end.

    Returns:
        The proposal; without targets where something stands in the way of all; None where nothing is old.
    """
    old = [one for one in looks if one.rows]
    if not old:
        return None
    free = [one for one in old if one.identity and not one.rule.hold]
    moving = any(one.rule.archive for one in old)
    sizes = {one.rule.table: batch or _fitting(one) for one in free}
    return Draft(
        kind="archiving",
        title=archiving_words.title(free, moving),
        targets=tuple(_target(one, sizes[one.rule.table], _policy(one, env, own)) for one in free),
        risk=Risk.HIGH,
        blast=archiving_words.blast(moving),
        numbers=archiving_words.numbers(free, sizes),
        not_undoable=tuple(archiving_words.not_undoable(free)),
        undo=(archiving_words.BACK,) if any(archiving_words.undoable(one) for one in free) else (),
        left_out={one.rule.table: archiving_words.why_not(one) for one in old if one not in free},
        settings={
            "replica_behind_s": int(env.limit("replication_lag_seconds").warning or 30),
            "connections": connections,
        },
    )


class Archiving(Kind):
    """The kind of change: looks at both sides, and makes room for others between two batches."""

    LOCK: ClassVar[str] = "database"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 30.0
    STEPS: ClassVar[bool] = True

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._idle_since = self._compared_at = self._roomy_until = 0.0
        self._rows, self._mark = 0, ""

    def observe(self, target: Target) -> Observed:
        """Look at both tables, and whether what is missing on the one side is on the other."""
        named = old_rows_facts.columns(self._means.database(), target.identity)
        params = getattr(target.act, "params", {})
        if any(set(params[name]) != set(now) for name, now in named.items()):
            return Observed({}, text="the columns are others than those that would be moved")
        wanted = self._means.settings.get("connections") if "archive" in target.identity else 1
        with several.opened(self._means.database(), wanted) as connections:
            found = old_rows_look.values_at_once(connections, target.identity)
        back = getattr(target.act, "params", {}).get("table") != target.identity["table"]
        self._rows, self._idle_since = int(found["archived" if back else "rows"]), 0.0
        found |= self._policy(target)
        return Observed(found, text=_said(found), partly=_partly(target, found))

    def stretches(self, target: Target, hands: int) -> list[Mapping[str, Any]]:
        """Cut the time between the limits into parts; of a few rows make one part.

        The rows in them get fewer and fewer, so that who is through first waits for nobody in the end.
        """
        most = self._rows // (2 * int(target.act.params["rows"]))
        shared = min(hands, most) > 1 and not self._refers_to_itself(target)
        parts = min(hands * _PARTS, most) if shared else 0
        cuts = self._cuts(target, [1 - (1 - part / parts) ** 1.5 for part in range(1, parts)])
        return [{"begin": a, "until": b} for a, b in pairwise((None, *cuts, None))]

    def _refers_to_itself(self, target: Target) -> bool:
        """Tell whether rows of the table hang on others of it: two hands would wait for each other's rows."""
        given: Mapping[str, Any] = target.act.params
        table = list(given["table"])
        found = old_rows_facts.children(self._means.database(), table)
        return table in [[row["schema"], row["name"]] for row in found]

    def _cuts(self, target: Target, shares: Sequence[float]) -> list[str]:
        """Return times before which about such shares of the rows lie; where nobody knows, of the time."""
        given: Mapping[str, Any] = target.act.params
        since, cutoff = (datetime.fromisoformat(given[name]) for name in ("since", "cutoff"))
        marks = [since, *(self._known(target) if shares else ())]
        # Nobody knows how far the last rows reach: as far as their like before them, and not to the limit.
        marks.append(min(cutoff, marks[-1] + (marks[-1] - marks[-2])) if len(marks) > 1 else cutoff)
        return [_between(marks, share).isoformat() for share in shares]

    def _known(self, target: Target) -> list[datetime]:
        """Return times that part the rows about evenly, as far as somebody knows any."""
        given: Mapping[str, Any] = target.act.params
        (schema, name), since, cutoff = given["table"], given["since"], given["cutoff"]
        # To count up to the middle would take as long as all else where the table is not vacuumed.
        with suppress(SourceError):
            place = {"schema": schema, "name": name, "column": given["time"]}
            found = self._means.database().rows("times_known", **place, since=since, cutoff=cutoff)
            return [datetime.fromisoformat(row["time"]) for row in found]
        return []

    def more(self, target: Target, done: Mapping[str, int]) -> bool:
        """Tell whether rows are left; wait for those that somebody works at, and for replicas and queues."""
        self._rows -= next(iter(done.values()), 0)
        # Where as many went as were seen, the look that follows is enough.
        if self._rows <= 0 or self._altered(target):
            return False
        if done:
            self._idle_since = 0.0
            return self._has_room()
        if not self._left(target):
            return False
        now = time.monotonic()
        if not self._idle_since:
            # Who worked at them may be done by now.
            self._idle_since = now
            return True
        time.sleep(_AGAIN_S)
        return now - self._idle_since < self.PATIENCE_S

    def _altered(self, target: Target) -> bool:
        """Tell now and then whether policy, columns, foreign keys or triggers are others than in the plan."""
        now = time.monotonic()
        if now - self._compared_at < _COMPARED_S:
            return False
        self._compared_at = now
        now_so = self._policy(target)
        # Before the closer look, so that what is altered during it is seen the next time.
        mark = old_rows_facts.mark(self._means.database(), target.identity)
        if mark != self._mark:
            self._mark = mark
            now_so["structure"] = old_rows_facts.structure(self._means.database(), target.identity)
        return any(target.before[name] != value for name, value in now_so.items())

    def _policy(self, target: Target) -> dict[str, str]:
        """Return by which rules the rows are kept now, where they go by a policy."""
        if "policy" not in target.before:
            return {}
        own = retention.policies(self._means.database())
        return {"policy": retention.standing(own, self._means.env.system, target.identity["table"])}

    def _left(self, target: Target) -> bool:
        box = {name: target.act.params[name] for name in ("table", "time", "since", "cutoff")}
        try:
            return bool(self._means.database().rows("any_between", **box)[0]["any"])
        except Unreachable as error:
            if error.kind not in PASSING:
                raise
            return True

    def _has_room(self) -> bool:
        """Wait while a replica falls behind or others queue for a lock; not for ever."""
        now = time.monotonic()
        if now < self._roomy_until:
            return True
        until = now + self.PATIENCE_S
        while self._strained():
            if time.monotonic() >= until:
                return False
            time.sleep(_AGAIN_S)
        self._roomy_until = time.monotonic() + _AGAIN_S
        return True

    def _strained(self) -> bool:
        row = self._means.database().rows("server_strain")[0]
        behind = (row["replica_behind"] or 0) >= self._means.settings["replica_behind_s"]
        return behind or (row["waiting"] or 0) > 0


KIND = Archiving


def _policy(one: Seen, env: Environment, own: pd.DataFrame | None) -> dict[str, str]:
    if own is None or one.rule.archive:
        return {}
    return {"policy": retention.standing(own, env.system, one.identity["table"])}


def _target(one: Seen, batch: int, policy: Mapping[str, str]) -> Target:
    act = Statement(_statement(one.identity), _params(one, batch))
    before = {**one.values, **policy}
    after = {**before, "rows": 0}
    if "archived" in before:
        after["archived"] = before["archived"] + before["rows"]
    if "hanging" in before:
        after |= {"hanging": 0, "hanging_archived": before["hanging_archived"] + before["hanging"]}
    if not one.rule.archive:
        del after["checksum"]
    return Target(
        name=f"old rows of {one.rule.table}",
        identity=one.identity,
        before=before,
        after=after,
        act=act,
        undo=Statement(act.name, _params(one, batch, back=True)) if archiving_words.undoable(one) else None,
        effect=archiving_words.effect(one),
    )


def _fitting(one: Seen) -> int:
    """Return how many rows to move at once."""
    return min(max(_BATCH_BYTES // (one.row_bytes or _UNKNOWN_ROW), _LEAST), _MOST)


def _statement(identity: Mapping[str, Any]) -> str:
    if "archive" not in identity:
        return "delete_batch"
    return "archive_family_batch" if "child" in identity else "archive_batch"


def _params(one: Seen, batch: int, *, back: bool = False) -> dict[str, Any]:
    """Return the values of the statement: all literal, and for the way back the two sides exchanged."""
    found = {**one.identity, **{name: list(names) for name, names in one.columns.items()}, "rows": batch}
    found["triggers"] = one.triggers
    found |= {"columns_ever": one.ever.get("table"), "child_columns_ever": one.ever.get("child")}
    if back:
        found |= {name: one.identity[other] for name, other in _OTHER_SIDE.items() if name in one.identity}
        found |= {
            "columns_ever": one.ever.get("archive"),
            "child_columns_ever": one.ever.get("child_archive"),
        }
    wanted = sql.load(_statement(one.identity)).params
    return {name: value for name, value in found.items() if name in wanted}


def _partly(target: Target, found: Mapping[str, Any]) -> bool:
    """Tell whether a part of the rows has gone and everything else is as it was."""
    rows = max(target.before["rows"], target.after["rows"])
    same = all(found.get(name) == target.before.get(name) for name in ("structure", "policy"))
    if not 0 < found["rows"] < rows or not same:
        return False
    if "archived" not in found:
        return True
    pairs = (("rows", "archived"), ("hanging", "hanging_archived"))
    sums = [(found[a] + found[b], target.before[a] + target.before[b]) for a, b in pairs if a in found]
    sums += [(found[n], target.before[n]) for n in ("checksum", "hanging_checksum") if n in found]
    return all(now == then for now, then in sums)


def _between(marks: Sequence[datetime], share: float) -> datetime:
    """Return the time at such a share of the way along marks that part the rows evenly."""
    place, rest = divmod(share * (len(marks) - 1), 1)
    begin, end = marks[int(place) : int(place) + 2]
    return begin + (end - begin) * rest


def _said(found: Mapping[str, Any]) -> str:
    text = f"{compare.number(found['rows'])} old rows left"
    return f"{text}, {compare.number(found['archived'])} in the archive" if "archived" in found else text
