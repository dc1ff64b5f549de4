"""What is due is computed from the archive; what is due runs once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import schedule
from opslib.config import Slot
from opslib.errors import ConfigError
from opslib.verdict import Status
from tests import shop
from tests.shop import Project


class Kept:
    """An index in memory: what each slot has run."""

    def __init__(self, *moments: str, slot: str = "daily") -> None:
        self.runs = [(f"schedule:{slot}", at(moment), "ok", f"run-{moment}") for moment in moments]

    def scheduled(self, slot: str) -> Iterable[tuple[datetime, str, str]]:
        """Return the runs of a slot."""
        return [(moment, verdict, run_id) for name, moment, verdict, run_id in self.runs if name == slot]

    def keep(self, slot: Slot, moment: datetime) -> None:
        """Add a run."""
        self.runs.append((schedule.name(slot), moment, "ok", "new"))


def at(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slot(**changes: Any) -> Slot:
    """Return a slot that runs at 06:00 in Berlin."""
    values: dict[str, Any] = {
        "id": "daily",
        "routine": "daily",
        "system": "klutr",
        "cron": "0 6 * * *",
        "timezone": "Europe/Berlin",
        "owner": "on-call",
        **changes,
    }
    return Slot(**values)


def states(found: list[schedule.Due]) -> list[tuple[str, str]]:
    """Return moment and state of each entry."""
    return [(f"{item.scheduled_for:%m-%d %H:%M}", item.state) for item in found]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of a test are its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))


def test_a_slot_that_has_never_run_is_due_once_and_has_missed_nothing() -> None:
    """The first tick on a new machine must not tell of a month of missed days."""
    found = schedule.due([slot()], Kept(), at("2026-07-10T04:05:00"))
    assert states(found) == [("07-10 04:00", "due")]
    assert not found[0].late


def test_a_slot_that_ran_is_done_with_its_verdict() -> None:
    """The list shows what came out of it."""
    found = schedule.due([slot()], Kept("2026-07-10T04:00:00"), at("2026-07-10T12:00:00"))
    assert states(found) == [("07-10 04:00", "done")]
    assert (found[0].verdict, found[0].run_id) == ("ok", "run-2026-07-10T04:00:00")


def test_after_missed_days_only_the_latest_is_due_and_the_others_are_told() -> None:
    """Catching up a week of routines at once would help nobody."""
    found = schedule.due([slot()], Kept("2026-07-07T04:00:00"), at("2026-07-10T12:00:00"))
    assert states(found) == [("07-08 04:00", "missed"), ("07-09 04:00", "missed"), ("07-10 04:00", "due")]
    assert found[-1].late


def test_a_slot_without_catch_up_is_missed_once_its_latest_start_has_passed() -> None:
    """Some checks are worthless later in the day."""
    skipping = slot(catch_up="skip", latest_start_minutes=30)
    assert states(schedule.due([skipping], Kept(), at("2026-07-10T04:30:00"))) == [("07-10 04:00", "due")]
    assert states(schedule.due([skipping], Kept(), at("2026-07-10T04:31:00"))) == [("07-10 04:00", "missed")]


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-03-28T12:00:00", "03-28 05:00"),
        ("2026-03-29T12:00:00", "03-29 04:00"),
        ("2026-10-24T12:00:00", "10-24 04:00"),
        ("2026-10-25T12:00:00", "10-25 05:00"),
    ],
)
def test_six_in_berlin_stays_six_in_berlin_when_clocks_change(now: str, moment: str) -> None:
    """People are at their desks by the clock on the wall."""
    assert states(schedule.due([slot()], Kept(), at(now)))[0][0] == moment


def test_a_moment_that_the_spring_change_skips_comes_once_an_hour_later() -> None:
    """02:30 does not exist on that night, and must not be lost."""
    night = slot(cron="30 2 * * *")
    found = schedule.due([night], Kept("2026-03-28T01:30:00"), at("2026-03-29T12:00:00"))
    assert states(found) == [("03-29 01:00", "due")]


def test_a_moment_that_the_autumn_change_repeats_comes_once() -> None:
    """02:30 exists twice on that night."""
    night = slot(cron="30 2 * * *")
    found = schedule.due([night], Kept("2026-10-24T00:30:00"), at("2026-10-25T12:00:00"))
    assert states(found) == [("10-25 00:30", "due")]


def test_a_changed_cron_line_does_not_run_a_day_again() -> None:
    """Moving a slot to an earlier hour after it ran must not make it due."""
    found = schedule.due([slot(cron="0 5 * * *")], Kept("2026-07-10T04:00:00"), at("2026-07-10T12:00:00"))
    assert states(found)[0][1] == "done"


def test_a_slot_that_runs_every_minute_lists_a_bounded_number_of_missed_moments() -> None:
    """A machine that was off for a month must not make a list of forty thousand."""
    often = slot(cron="* * * * *", timezone="UTC")
    found = schedule.due([often], Kept("2026-06-10T04:00:00"), at("2026-07-10T12:00:00"))
    assert len(found) <= schedule.MOST_MOMENTS


def test_the_next_moment_is_in_the_future() -> None:
    """What `schedule list` shows as next."""
    now = at("2026-07-10T04:00:00")
    assert schedule.upcoming(slot(), now) == now + timedelta(days=1)


def test_a_tick_runs_what_is_due_once_and_tells_what_was_missed(tmp_path: Path) -> None:
    """The second tick finds nothing to do."""
    kept, started = Kept("2026-07-08T04:00:00"), []

    def start(which: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
        started.append(moment)
        kept.keep(which, moment)
        return {"verdict": "warning", "run_id": "new", "record": str(archive)}

    now = at("2026-07-10T04:10:00")
    first = schedule.tick([slot()], kept, tmp_path, start, now)
    second = schedule.tick([slot()], kept, tmp_path, start, now)
    assert started == [at("2026-07-10T04:00:00")]
    assert [f"{m.scheduled_for:%m-%d}" for m in first.missed] == ["07-09"]
    assert first.status is Status.WARNING
    assert (second.ran, second.missed, second.status) == ((), (), Status.OK)


def test_a_slot_that_is_written_wrong_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    """One bad line, one bad result."""

    def start(which: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
        if which.id == "bad":
            raise ConfigError("there is no procedure x")
        return {"verdict": "ok", "run_id": "new", "record": ""}

    slots = [slot(id="bad"), slot(id="good", system="kulti")]
    done = schedule.tick(slots, Kept(), tmp_path, start, at("2026-07-10T04:10:00"))
    assert [(entry["slot"], entry["verdict"], entry["error"]) for entry in done.ran] == [
        ("bad", "unknown", "there is no procedure x"),
        ("good", "ok", ""),
    ]
    assert done.status is Status.UNKNOWN


def test_a_busy_target_keeps_its_slot_waiting_for_the_next_tick(tmp_path: Path) -> None:
    """One run at a time on a target; nothing is lost."""
    inner: list[schedule.Ticked] = []
    kept = Kept()

    def other(which: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
        raise AssertionError("must not run")

    def start(which: Slot, moment: datetime, archive: Path) -> dict[str, Any]:
        inner.append(schedule.tick([slot()], kept, tmp_path, other, at("2026-07-10T04:11:00")))
        return {"verdict": "ok", "run_id": "new", "record": ""}

    schedule.tick([slot()], kept, tmp_path, start, at("2026-07-10T04:10:00"))
    assert [item.state for item in inner[0].waiting] == ["running"]


SLOTS = """owner: on-call
environment: production
slots:
  - {id: warm, procedure: too-warm, system: shop, cron: "0 0 1 1 *", parameters: {degrees: 35}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose schedule has one slot, due since new year."""
    monkeypatch.chdir(tmp_path)
    built = shop.build(tmp_path, monkeypatch)
    built.schedule(SLOTS)
    return built


def test_two_ticks_at_the_same_moment_run_a_slot_once(project: Project) -> None:
    """Two cron lines, two machines' clocks, a person who is impatient: one run."""
    words = [sys.executable, "-m", "opslib", "schedule", "tick", "--json"]
    ticks = [
        subprocess.Popen(words, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    reports = [json.loads(tick.communicate(timeout=120)[0]) for tick in ticks]
    ran = [entry for report in reports for entry in report["ran"]]
    assert [(entry["slot"], entry["verdict"]) for entry in ran] == [("warm", "warning")]
    assert sorted(tick.returncode for tick in ticks) == [0, 1]
    (run,) = json.loads(project.opslib("history", "--json").stdout)["runs"]
    assert (run["trigger"], run["actor"]) == ("schedule", "schedule:warm")
    assert run["scheduled_for"] == ran[0]["scheduled_for"]


def test_the_list_shows_the_last_result_and_the_next_time(project: Project) -> None:
    """Due before the tick, done after it, with the verdict."""
    before = json.loads(project.opslib("schedule", "list", "--json").stdout)["slots"][0]
    assert (before["state"], before["verdict"]) == ("due", "")
    assert project.opslib("schedule", "tick").returncode == 1
    after = json.loads(project.opslib("schedule", "list", "--json").stdout)["slots"][0]
    assert (after["state"], after["verdict"]) == ("done", "warning")
    assert after["next"] > before["latest"]


def test_a_slot_whose_needs_are_not_met_is_recorded_once(project: Project) -> None:
    """Otherwise every tick of the day would try again and tell again."""
    project.schedule(SLOTS.replace("too-warm", "needs-database").replace(", parameters: {degrees: 35}", ""))
    assert project.opslib("schedule", "tick").returncode == 3
    second = project.opslib("schedule", "tick")
    assert (second.returncode, second.stdout) == (0, "nothing is due\n")


def test_a_slot_that_names_no_procedure_of_ours_is_told_at_each_tick(project: Project) -> None:
    """A slip in the schedule stays loud until it is mended."""
    project.schedule(SLOTS.replace("too-warm", "too-worm"))
    for _ in range(2):
        done = project.opslib("schedule", "tick")
        assert done.returncode == 3
        assert "there is no procedure too-worm; did you mean too-warm?" in done.stdout


def test_a_tick_killed_in_the_middle_leaves_the_slot_done_and_unknown(project: Project) -> None:
    """The lock dies with the process; what was run is kept, and is not run again."""
    path = project.notebooks / "monitor" / "too-warm.ipynb"
    slow = path.read_text(encoding="utf-8").replace(
        "ops.check.below(", "import time; time.sleep(60); ops.check.below("
    )
    path.write_text(slow, encoding="utf-8")
    words = [sys.executable, "-m", "opslib", "schedule", "tick"]
    tick = subprocess.Popen(words, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not shop.begun(project) and time.monotonic() < deadline:
        time.sleep(0.05)
    tick.kill()
    tick.wait(30)
    second = project.opslib("schedule", "tick")
    assert (second.returncode, second.stdout) == (0, "nothing is due\n")
    (run,) = json.loads(project.opslib("history", "--json").stdout)["runs"]
    assert (run["verdict"], run["actor"]) == ("unknown", "schedule:warm")
