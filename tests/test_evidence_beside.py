"""Approvals, notes and the schedule as the log holds them: what was done to them is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from opslib.evidence import Report, Slot, verify_archive
from opslib.evidence.events import Planned, RunRequested, ScheduleChanged, SlotSkipped
from opslib.runner import lines
from tests.besides import annotate, approve, begin
from tests.evidencing import Kept, audit, later

HOURLY = Planned("hourly", "site-down", "kulti", "production", "0 * * * *", "UTC", "30")
FULL = "the disk\nwas full"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with nothing in it yet."""
    return Kept(tmp_path / "archive")


def verified(kept: Kept, **scope: object) -> Report:
    """Verify it as an auditor does."""
    return verify_archive(kept.archive, kept.trusted(), audit(**scope))


def every_hour(planned: Planned, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield each whole hour of the tests' day."""
    assert planned.cron == HOURLY.cron
    return (later(hour) for hour in range(48) if begin <= later(hour) < end)


def asked(hour: float, number: int = 1, **other: Any) -> RunRequested:
    """Return that a run was asked for, of what the schedule has, unless something else is said."""
    what = {"procedure": "site-down", "system": "kulti", "environment": "production", **other}
    moment = later(int(hour))
    return RunRequested(
        time=later(hour), run=f"run-{number:04d}", slot="hourly", scheduled_for=moment, **what
    )


def states(kept: Kept, hours: float, **scope: object) -> list[tuple[str, str]]:
    """Return what became of each moment, seen so many hours after the first run."""
    report = verified(kept, now=later(hours), moments=every_hour, **scope)
    return [(f"{one.slot.moment:%H:%M}", one.state) for one in report.slots]


def test_a_change_that_was_approved_before_is_sound(kept: Kept) -> None:
    """By its own approval, or by that of the plan which it takes back."""
    approve(kept, "sha256:aa", at=later(0))
    begin(kept, 1, "sha256:aa", at=later(1))
    begin(kept, 2, "sha256:bb", at=later(2), undoes="sha256:aa")
    assert verified(kept).sound


def test_a_change_that_needs_no_approval_is_sound(kept: Kept) -> None:
    """The policy asks for none off production."""
    begin(kept, 1, "sha256:aa", at=later(1), need="none")
    assert verified(kept).sound


def test_a_review_afterwards_is_no_approval(kept: Kept) -> None:
    """Nobody agrees to what is done already."""
    approve(kept, "sha256:aa", at=later(0), decision="reviewed")
    begin(kept, 1, "sha256:aa", at=later(1))
    assert verified(kept).named() == {"unapproved"}


def test_an_approval_whose_signer_had_a_later_clock_came_afterwards(kept: Kept) -> None:
    """Its place in the log is not all that counts: what was signed says when."""
    approve(kept, "sha256:aa", at=later(0), given=later(3))
    begin(kept, 1, "sha256:aa", at=later(1))
    assert verified(kept).named() == {"approved-afterwards"}


def test_only_the_period_that_is_asked_for_is_looked_at(kept: Kept) -> None:
    """What was before it is another audit's."""
    begin(kept, 1, "sha256:aa", at=later(1))
    annotate(kept, "run-0001", "seen", at=later(2)).unlink()
    assert verified(kept).named() == {"unapproved", "deleted"}
    assert verified(kept, since=later(3)).sound


def test_a_moment_is_run_skipped_due_or_missing(kept: Kept) -> None:
    """Each moment of the schedule is listed, and only a missing one is a fault."""
    kept.log.append(ScheduleChanged(time=later(0), slots=(HOURLY,)))
    kept.log.append(asked(1))
    kept.log.append(
        SlotSkipped(time=later(3), slot="hourly", scheduled_for=later(2), reason="the disk\nwas full")
    )
    wanted = [
        ("03:00", "missing"),
        ("04:00", "run"),
        ("05:00", "skipped"),
        ("06:00", "missing"),
        ("07:00", "due"),
    ]
    assert states(kept, 4.4) == wanted
    report = verified(kept, now=later(4.4), moments=every_hour, since=later(0))
    assert report.named() == {"never-recorded"} and not report.unseen
    texts = {str(one.kind): one.text for one in report.findings}
    assert texts["skipped"].endswith(r"the disk\nwas full")
    assert json.loads(json.dumps(report.to_dict()))["slots"][1]["text"] == "run-0001"


def test_a_moment_is_filled_only_by_what_the_schedule_has_for_it(kept: Kept) -> None:
    """A quick look at something harmless must not stand for the restore drill that nobody did."""
    kept.log.append(ScheduleChanged(time=later(0.5), slots=(HOURLY,)))
    kept.log.append(asked(1, 1, procedure="vendor-status"), asked(2, 2, system="klutr"))
    kept.log.append(asked(3, 3, environment="sandbox"), asked(4, 4, procedure="vendor-status"), asked(4, 5))
    wanted = [("04:00", "missing"), ("05:00", "missing"), ("06:00", "missing"), ("07:00", "run")]
    assert states(kept, 4.9) == wanted
    report = verified(kept, now=later(4.9), moments=every_hour)
    assert report.slots[-1].text == "run-0005"
    told = [one.text for one in report.findings if one.kind == "never-recorded"]
    assert "run-0001 says that it was for this, but ran vendor-status on kulti (production)" in told[0]
    named_by_hand = verified(kept, now=later(4.9), slots=tuple(Slot("hourly", later(n)) for n in (1, 4)))
    assert [one.state for one in named_by_hand.slots] == ["missing", "run"]


def test_a_moment_may_be_filled_by_what_the_schedule_has_when_it_is_caught_up(kept: Kept) -> None:
    """Somebody mended the entry between the moment and its run; a routine is kept as its checklist."""
    kept.log.append(ScheduleChanged(time=later(0.5), slots=(replace(HOURLY, runs="vendor-status"),)))
    kept.log.append(ScheduleChanged(time=later(1.2), slots=(replace(HOURLY, runs="daily routine"),)))
    kept.log.append(asked(1.3, 1, procedure=lines.CHECKLIST), asked(2, 2, procedure="site-down"))
    assert states(kept, 2.9) == [("04:00", "run"), ("05:00", "missing")]
    kept.log.append(ScheduleChanged(time=later(3.2), slots=(HOURLY,)))
    kept.log.append(asked(3.3, 3, procedure=lines.CHECKLIST))
    assert states(kept, 3.9)[2:] == [("06:00", "run")]


def test_a_schedule_holds_from_its_leaf_to_the_next(kept: Kept) -> None:
    """What was taken off the schedule was due before; what was put on it was not."""
    kept.log.append(ScheduleChanged(time=later(0.5)))
    kept.log.append(ScheduleChanged(time=later(1.5), slots=(HOURLY,)))
    kept.log.append(ScheduleChanged(time=later(3.5)))
    assert states(kept, 9) == [("05:00", "missing"), ("06:00", "missing")]
    assert states(kept, 9, until=later(2.5)) == [("05:00", "missing")]
    assert states(kept, 9, since=later(2.5)) == [("06:00", "missing")]


def test_what_was_done_to_the_schedule_is_told(kept: Kept) -> None:
    """Whoever takes a slot off it, and puts it back, leaves a gap that nobody would miss."""
    shorter, daily = replace(HOURLY, latest_start="9"), replace(HOURLY, name="daily")
    for hour, slots in enumerate([(HOURLY,), (shorter, daily), (HOURLY,), (HOURLY,)]):
        kept.log.append(ScheduleChanged(time=later(hour), actor="eve", slots=slots))
    report = verified(kept, now=later(3.1), moments=every_hour, since=later(0.5))
    told = [one for one in report.findings if one.kind == "rescheduled"]
    assert {one.subject for one in told} == {"schedule, by eve"}
    assert [one.text.partition("UTC ")[2] for one in told] == [
        "with daily; otherwise hourly", "without daily; otherwise hourly",
    ]  # fmt: skip
    later_on = verified(kept, now=later(3.1), moments=every_hour, since=later(1.5))
    assert [one for one in later_on.findings if one.kind == "rescheduled"] == told[1:]


def test_what_was_due_before_the_log_knew_a_schedule_is_not_known(kept: Kept) -> None:
    """Nor is it ok: it is said, and the command ends with another code."""
    kept.run(0)
    (said,) = verified(kept, moments=every_hour).unseen
    assert "the log knows no schedule" in said
    kept.log.append(ScheduleChanged(time=later(1.5), slots=(HOURLY,)))
    (said,) = verified(kept, moments=every_hour, since=later(1), until=later(2)).unseen
    assert "from 2026-11-21 04:30:00 UTC on" in said
    assert verified(kept, moments=every_hour, since=later(1.6), until=later(2)).unseen == ()
