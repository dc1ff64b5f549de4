"""What findings add up to."""

from __future__ import annotations

import itertools

import pytest

from opslib.verdict import FINDING_COLUMNS, Cause, Finding, Status, combine, conclude


def finding(status: Status, cause: Cause | None = None, check: str = "slots") -> Finding:
    """Return a finding of one status."""
    return Finding(check, status, cause=cause)


@pytest.mark.parametrize("first, second", list(itertools.permutations(Status, 2)))
def test_the_worst_of_two_decides_in_either_order(first: Status, second: Status) -> None:
    """Critical beats unknown beats warning beats ok beats skipped."""
    expected = max(first, second, key=[*_ORDER].index)
    assert combine([first, second]) is expected


_ORDER = (Status.SKIPPED, Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL)


def test_looking_at_nothing_is_unknown() -> None:
    """An empty or all-skipped run says nothing good about the system."""
    assert combine([]) is Status.UNKNOWN
    assert combine([Status.SKIPPED, Status.SKIPPED]) is Status.UNKNOWN


def test_exit_codes_follow_the_plug_in_convention() -> None:
    """Schedulers and monitoring read nothing but the number."""
    codes = {str(status): status.exit_code for status in Status}
    assert codes == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3, "skipped": 3}


def test_the_nearer_cause_comes_first_whatever_the_order_of_checks() -> None:
    """With a broken name and a stopped database the visitor never reaches the database."""
    name, database = Cause("dns-broken", "", 10), Cause("database-down", "", 60)
    found = [finding(Status.CRITICAL, database), finding(Status.CRITICAL, name)]
    assert [cause.id for cause in conclude(found).causes] == ["dns-broken", "database-down"]


def test_a_fault_goes_before_a_nearer_warning_and_each_cause_once() -> None:
    """A warning may be near, but the fault is what woke somebody."""
    near, far = Cause("pool-too-small", "", 10), Cause("lock-storm", "", 60)
    found = [finding(Status.WARNING, near), finding(Status.CRITICAL, far), finding(Status.CRITICAL, far)]
    assert [cause.id for cause in conclude(found).causes] == ["lock-storm", "pool-too-small"]


def test_a_check_that_passed_names_no_cause() -> None:
    """A cause under an ok finding is not a cause."""
    assert conclude([finding(Status.OK, Cause("bloat", ""))]).cause is None


def test_every_finding_has_the_same_nine_columns() -> None:
    """Findings of all procedures can be put under one another."""
    row = Finding("slots", Status.OK, "kulti").to_dict()
    assert tuple(row) == FINDING_COLUMNS
    assert row["key"] == "slots:kulti" and row["status"] == "ok"
