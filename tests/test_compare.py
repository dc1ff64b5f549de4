"""Comparisons: what cannot be looked at never passes."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from opslib import frames
from opslib.checks import compare
from opslib.verdict import Cause, Finding, Status

FULL = pd.DataFrame({"pct": [10.0, 85.0]})


def below(data: pd.DataFrame | float | None, column: str | None = "pct") -> Finding:
    """Hold data against 80 and 90."""
    return compare.below(
        data,
        column,
        check="slots",
        warning=80,
        critical=90,
        expected="below 80 %",
        unit="%",
        next="site-down",
    )


@pytest.mark.parametrize(
    "value, status", [(79.9, Status.OK), (80, Status.WARNING), (89.9, Status.WARNING), (90, Status.CRITICAL)]
)
def test_a_limit_is_reached_at_its_value(value: float, status: Status) -> None:
    """`80 %` means eighty is too much already."""
    assert below(value, None).status is status


@pytest.mark.parametrize("value, status", [(96, Status.OK), (95, Status.WARNING), (90, Status.CRITICAL)])
def test_above_looks_at_the_smallest_value(value: float, status: Status) -> None:
    """A hit rate is as good as its worst table."""
    frame = pd.DataFrame({"hit": [99.0, value]})
    found = compare.above(frame, "hit", check="hits", warning=95, critical=90, expected="above 95 %")
    assert found.status is status


def test_the_largest_value_of_a_frame_counts_and_is_shown_with_its_unit() -> None:
    """The finding says what was seen and what it was held against."""
    found = below(FULL)
    assert (found.status, found.observed, found.limit) == (Status.WARNING, "85 %", "80 % / 90 %")
    assert found.next == "site-down"


BLIND: dict[str, pd.DataFrame | float | None] = {
    "source refused": frames.unavailable(["pct"], "connection refused"),
    "column missing": pd.DataFrame({"other": [1]}),
    "frame empty": pd.DataFrame({"pct": []}),
    "one value missing": pd.DataFrame({"pct": [1.0, None]}),
    "not a number": pd.DataFrame({"pct": ["many"]}),
    "no value": None,
    "not finite": float("nan"),
}


@pytest.mark.parametrize("compared", [compare.below, compare.above], ids=["below", "above"])
@pytest.mark.parametrize("why", BLIND)
def test_what_cannot_be_looked_at_is_unknown(why: str, compared: Callable[..., Finding]) -> None:
    """The one rule: never ok without having looked."""
    found = compared(BLIND[why], "pct", check="slots", warning=1, critical=2, expected="little")
    assert found.status is Status.UNKNOWN and found.why


def test_a_check_without_any_limit_is_unknown() -> None:
    """No limit set must not read as no limit reached."""
    assert compare.below(1.0, check="slots", expected="little").status is Status.UNKNOWN


def test_none_and_some_tell_an_empty_answer_from_no_answer() -> None:
    """An empty table from a source that did not answer says nothing."""
    refused, empty = frames.unavailable(["pid"], "refused"), pd.DataFrame({"pid": []})
    assert compare.none(refused, check="blocked", expected="nobody waits").status is Status.UNKNOWN
    assert compare.none(empty, check="blocked", expected="nobody waits").status is Status.OK
    assert compare.none(FULL, check="blocked", expected="nobody waits").status is Status.WARNING
    assert compare.some(refused, check="backups", expected="one").status is Status.UNKNOWN
    assert compare.some(empty, check="backups", expected="one").status is Status.WARNING
    assert compare.some(FULL, check="backups", expected="one").status is Status.OK


def test_a_cause_and_a_next_step_are_named_only_when_something_is_wrong() -> None:
    """A good finding sends nobody anywhere."""
    cause = Cause("pool-too-small", "the pool is small")
    good = compare.below(1, check="pool", warning=5, expected="free", cause=cause, next="site-down", why="x")
    bad = compare.below(9, check="pool", warning=5, expected="free", cause=cause, next="site-down", why="x")
    assert (good.cause, good.next, good.why) == (None, "", "")
    assert (bad.cause, bad.next, bad.why) == (cause, "site-down", "x")


@pytest.mark.parametrize(
    "value, text",
    [(1234, "1 234 ms"), (97.345, "97.3 ms"), (3.5, "3.5 ms"), (0, "0 ms"), (1234.6, "1 235 ms")],
)
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    """Nobody reads `1234.5999999` at night."""
    assert compare.number(value, "ms") == text
