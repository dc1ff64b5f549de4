"""What differs between two runs, as facts: what was asked, what came of it, which code did it.

Findings are paired by check and subject. Times and ids are no facts: they always differ, so texts are
compared without them, and shown with them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opslib.archive.figures import measured

APPEARED, GONE, CHANGED, MOVED = "appeared", "gone", "changed", "moved"
_SIDE = ("run_id", "procedure", "system", "environment", "verdict", "started_at")
_ASKED = ("procedure", "system", "environment")
_TOLD = ("status", "observed", "limit", "why")
_HEX = r"(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
_NUMBER = re.compile(r"-?\d+(?:[ .,]\d+)*")
_PASSING = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(rf"\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}(?: ?(?:Z|UTC)|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(rf"\b{_CLOCK}(?: ?(?:Z|UTC))?\b"), "<time>"),
    (re.compile(rf"\b{_HEX}\b", re.I), "<id>"),
    (re.compile(r"\b(pids?|process|run|request|session) #?\d+\b", re.I), r"\1 <id>"),
)  # fmt: skip

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One fact that differs.

    Args:
        part: procedure, system, environment, parameter, code, verdict, cause, changed or finding.
        name: which one of these; of a finding, its check and subject.
        kind: `appeared`, `gone`, `changed`, or `moved`: a value is another, and means the same.
        before, after: what each run says, None where it says nothing; of a finding, a mapping with its
            status, observed, limit and why.
        by: how far a number moved, in its own unit; None where there is none.
    """

    part: str
    name: str
    kind: str
    before: Any
    after: Any
    by: float | None = None


@dataclass(frozen=True)
class Difference:
    """What differs between two runs.

    Args:
        before, after: run_id, procedure, system, environment, verdict, started_at of the two.
        changes: what differs; none when they say the same.
    """

    before: Json
    after: Json
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return not self.changes

    @property
    def moved(self) -> tuple[Change, ...]:
        """Values that are others and mean the same."""
        return tuple(change for change in self.changes if change.kind == MOVED)

    @property
    def told(self) -> tuple[Change, ...]:
        """All that differs but for moved values."""
        return tuple(change for change in self.changes if change.kind != MOVED)

    def to_dict(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"same": self.same, **asdict(self)}


def compare(before: Json, after: Json) -> Difference:
    """Return what differs between two runs.

    Args:
        before, after: documents of runs, as the index returns them.
    """
    facts = [*_asked(before, after), *_told(before, after), *_findings(before, after)]
    old, new = ({name: run[name] for name in _SIDE} for run in (before, after))
    return Difference(old, new, tuple(facts))


def steady(text: str) -> str:
    """Return a text without what differs from run to run: times, ids, commits, process numbers."""
    for pattern, word in _PASSING:
        text = pattern.sub(word, text)
    return text


def _asked(before: Json, after: Json) -> Iterator[Change]:
    for name in _ASKED:
        yield from _one(name, name, before[name], after[name])
    old, new = (dict(run.get("parameters") or {}) for run in (before, after))
    for name in sorted({*old, *new} - {*_ASKED}):
        yield from _one("parameter", name, old.get(name), new.get(name))
    old, new = (dict(run.get("code") or {}) for run in (before, after))
    if old.get("sha256") != new.get("sha256"):
        yield from _one("code", "notebook", _version(old), _version(new))


def _told(before: Json, after: Json) -> Iterator[Change]:
    yield from _one("verdict", "verdict", before["verdict"], after["verdict"])
    old, new = ({cause["id"]: cause["text"] for cause in run["causes"]} for run in (before, after))
    for name in dict.fromkeys((*new, *old)):
        if steady(old.get(name, "")) != steady(new.get(name, "")):
            yield from _one("cause", name, old.get(name), new.get(name))
    old, new = (
        {str(row.get("target")): row.get("state") for row in run["changed"]} for run in (before, after)
    )
    for name in dict.fromkeys((*new, *old)):
        yield from _one("changed", name, old.get(name), new.get(name))


def _one(part: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    """Yield the change of one fact; None is a fact that a run does not tell."""
    if json.dumps(before, sort_keys=True, default=str) != json.dumps(after, sort_keys=True, default=str):
        yield Change(part, name, _kind(before, after), before, after)


def _kind(before: Any, after: Any) -> str:
    return APPEARED if before is None else GONE if after is None else CHANGED


def _version(code: Json) -> str | None:
    """Return which version of the notebook ran, as a person says it."""
    if not code.get("sha256"):
        return None
    commit = f"commit {code['commit'][:12]}" if code.get("commit") else "no commit"
    edited = ", changed since" if code.get("changed_since_commit") else ""
    return f"{commit}{edited}, sha256 {code['sha256'][:12]}"


def _findings(before: Json, after: Json) -> Iterator[Change]:
    old, new = _keyed(before), _keyed(after)
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key), new.get(key)
        name = _name(now or was or {})
        if was is None or now is None:
            yield Change("finding", name, _kind(was, now), _told_of(was), _told_of(now))
        elif change := _paired(name, was, now):
            yield change


def _keyed(run: Json) -> dict[tuple[str, str, int], Json]:
    """Return findings by check and subject; the number tells apart what a run says twice."""
    seen: Counter[tuple[str, str]] = Counter()
    keyed = {}
    for row in run["findings"]:
        key = (steady(row["check"]), steady(row["subject"]))
        keyed[(*key, seen[key])] = row
        seen[key] += 1
    return keyed


def _paired(name: str, was: Json, now: Json) -> Change | None:
    unlike = [part for part in _TOLD if steady(was[part]) != steady(now[part])]
    if not unlike:
        return None
    fixed = {"status", "limit"}.isdisjoint(unlike)
    alike = fixed and all(_shape(was[part]) == _shape(now[part]) for part in unlike)
    kind = MOVED if alike else CHANGED
    return Change("finding", name, kind, _told_of(was), _told_of(now), _by(was, now))


def _shape(text: str) -> str:
    """Return a text without its numbers."""
    return _NUMBER.sub("#", steady(text))


def _by(was: Json, now: Json) -> float | None:
    old, new = measured(was["observed"]), measured(now["observed"])
    if not old or not new or old.unit != new.unit or old.value == new.value:
        return None
    return round(new.value - old.value, 6)


def _told_of(row: Json | None) -> dict[str, str] | None:
    return None if row is None else {name: row[name] for name in _TOLD}


def _name(row: Json) -> str:
    return f"{row['check']}: {row['subject']}" if row["subject"] else str(row["check"])
