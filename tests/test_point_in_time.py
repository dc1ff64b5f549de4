"""Going back to a moment: judged by the vendor's window, done once, and held against production."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.archive.changes import Changes
from opslib.changes import past
from opslib.checks import point_in_time
from opslib.checks.point_in_time import Reach
from opslib.cli.app import cli
from opslib.errors import ParameterError
from opslib.gate import faults
from opslib.gate.plan import Risk
from opslib.pg.counting import COUNTS
from opslib.run.sources import DatabaseSource
from opslib.sandbox import control
from opslib.vendors import neon, supabase
from opslib.verdict import Status
from tests.acting import ROOT, Case, applied, approve, arrived, perform, planned, ready, states

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
REACH = Reach("neon", "shop", "br-1", "ready", NOW - 24 * HOUR, NOW)
KLUTR = config.load_system("klutr", ROOT / "parameters").environment("sandbox")
KULTI = config.load_system("kulti", ROOT / "parameters").environment("sandbox")
CLOSED = "nothing listens there"


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


def text(ago: timedelta) -> str:
    """Return a moment as a person writes it; no two tests ask for the same."""
    return f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"


def branch_case(ago: timedelta) -> Case:
    """Return the case of a branch from some time ago."""
    return Case("point-in-time", "", "klutr", {"at": text(ago)}, ("neon",))


def counted(**rows: int | None) -> pd.DataFrame:
    """Return counts of tables; None where one could not be counted."""
    made = [{"table": t, "rows": n, "reason": "" if n is not None else "locked"} for t, n in rows.items()]
    return pd.DataFrame(made, columns=list(COUNTS)).astype({"rows": "Int64"})


def at_neon(history: int = 3600, **main: Any) -> Reach:
    """Return the reach of a project whose default branch is an hour old."""
    project = pd.DataFrame([dict.fromkeys(neon.PROJECT) | {"id": "shop", "history_seconds": history}])
    row = {
        "id": "br-1",
        "default": True,
        "state": "ready",
        "pending": "",
        "created": pd.Timestamp(NOW - HOUR),
    }
    branches = pd.DataFrame([dict.fromkeys(neon.BRANCHES) | row | main])
    empty = frames.unavailable(supabase.PROJECT, "not asked")
    return point_in_time.reach(KLUTR, project, branches, empty, empty)


def at_supabase(**window: Any) -> Reach:
    """Return the reach of a project with recovery of the last hour."""
    project = pd.DataFrame([dict.fromkeys(supabase.PROJECT) | {"ref": "a" * 20, "status": "ACTIVE_HEALTHY"}])
    row = {
        "point_in_time": True, "earliest": pd.Timestamp(NOW - HOUR), "latest": pd.Timestamp(NOW),
    }  # fmt: skip
    empty = frames.unavailable(neon.PROJECT, "not asked")
    return point_in_time.reach(KULTI, empty, empty, project, pd.DataFrame([row | window]))


@pytest.mark.parametrize("given", ["yesterday", "2026-01-31T14:05:00", "2999-01-01T00:00:00Z", "1.1.2026"])
def test_a_moment_that_is_none_or_has_no_zone_or_is_to_come_is_refused_by_its_key(given: str) -> None:
    """An hour off, and the restore has the fault in it."""
    with pytest.raises(ParameterError, match=r"^at: "):
        point_in_time.moment(given, 60)


def test_a_moment_is_taken_in_whatever_zone_it_is_given() -> None:
    """People read the time off their own clock."""
    found = point_in_time.moment("2026-01-31T15:05:00.9+01:00", 60)
    assert found == datetime(2026, 1, 31, 14, 5, tzinfo=UTC)
    ago = datetime.now(UTC) - point_in_time.moment("", 60)
    assert HOUR <= ago < HOUR + timedelta(minutes=1)


def test_neon_reaches_no_further_than_its_history_and_the_branch_itself() -> None:
    """A branch that was made an hour ago has no yesterday, however long the history is."""
    short, long = at_neon(history=60), at_neon(history=10**6)
    assert short.earliest and datetime.now(UTC) - short.earliest < timedelta(minutes=2)
    assert long.earliest == NOW - HOUR


def test_supabase_without_the_add_on_reaches_nothing() -> None:
    """Daily backups are no point in time; the text says what there is."""
    off = at_supabase(point_in_time=False)
    assert not off.holds(NOW - timedelta(minutes=1))
    finding = point_in_time.window(off, NOW - timedelta(minutes=1))
    assert (finding.status, finding.cause) == (Status.CRITICAL, point_in_time.OUT)
    assert "daily backups" in finding.limit
    assert not at_supabase(earliest=pd.NaT).holds(NOW)
    assert at_supabase().holds(NOW - timedelta(minutes=1))


@pytest.mark.parametrize("unfilled", [CLOSED, "neon (x) refuses these credentials", "timed out"])
def test_a_vendor_that_was_not_seen_leaves_all_unknown_and_nothing_planned(unfilled: str) -> None:
    """Not within reach, nor out of it."""
    gone = frames.unavailable(neon.PROJECT, unfilled)
    reach = point_in_time.reach(KLUTR, gone, gone, gone, gone)
    found = [point_in_time.ready(reach), point_in_time.window(reach, NOW)]
    assert [(one.status, one.why) for one in found] == [(Status.UNKNOWN, unfilled)] * 2
    draft = past.draft(KLUTR, reach, "now", NOW, "", keep_hours=1)
    assert draft and not draft.targets and unfilled in next(iter(draft.left_out.values()))


def test_a_project_without_a_branch_that_serves_is_unknown() -> None:
    """Which history would it be?"""
    assert point_in_time.window(at_neon(default=False), NOW).status is Status.UNKNOWN


def test_a_project_under_way_is_a_warning_and_takes_no_plan() -> None:
    """It would refuse, or worse, take it twice."""
    busy = at_neon(pending="archived")
    assert point_in_time.ready(busy).status is Status.WARNING
    draft = past.draft(KLUTR, busy, "now", NOW - timedelta(minutes=5), "", keep_hours=1)
    assert draft and not draft.targets and "on the way to archived" in str(draft.left_out)


def test_a_plan_is_made_only_for_a_moment_that_a_person_has_given() -> None:
    """A routine that looks must not leave plans about."""
    assert past.draft(KLUTR, REACH, "", NOW - HOUR, "", keep_hours=1) is None


def test_what_supabase_would_overwrite_is_break_glass_and_needs_a_witness() -> None:
    """Its API tells nobody what was put back; without the server's start it could be done twice."""
    reach = Reach("supabase", "a" * 20, "", "ACTIVE_HEALTHY", NOW - 24 * HOUR, NOW)
    draft = past.draft(KULTI, reach, "x", NOW - HOUR, "2026-01-01T00:00:00.000Z", keep_hours=1)
    assert draft and draft.risk is Risk.BREAK_GLASS and draft.not_undoable
    assert draft.targets[0].undo is None
    blind = past.draft(KULTI, reach, "x", NOW - HOUR, "", keep_hours=1)
    assert blind and not blind.targets


def test_tables_that_are_empty_or_were_not_counted_are_not_well() -> None:
    """Other counts are why anybody goes back; no rows at all is not."""
    before = counted(notes=10, messages=5)
    assert point_in_time.compare(before, counted(notes=3, messages=50)).status is Status.OK
    empty = point_in_time.compare(before, counted(notes=0, messages=5))
    assert (empty.status, empty.observed) == (Status.WARNING, "empty: notes")
    for other in (counted(notes=10, messages=None), counted(notes=10)):
        assert point_in_time.compare(before, other).status is Status.UNKNOWN
    assert point_in_time.compare(before, frames.unavailable(COUNTS, CLOSED)).why == CLOSED
    assert point_in_time.compare(counted(), counted()).status is Status.SKIPPED


def test_a_table_that_is_not_there_or_locked_is_not_counted_as_empty(sandbox: Any) -> None:
    """And it does not keep the others from being counted."""
    env = config.load_system("klutr").environment("sandbox")
    source = DatabaseSource(env, "opslib-test", lambda call: None)
    locking = psycopg.connect(control.status()["databases"]["klutr"]["admin"])
    try:
        locking.execute("lock table public.messages in access exclusive mode")
        rows = source.counts(["notes", "messages", "no_such_table"]).to_dict("records")
    finally:
        locking.close()
        source.close()
    assert rows[0]["rows"] > 0 and not rows[0]["reason"]
    assert pd.isna(rows[1]["rows"]) and "lock" in rows[1]["reason"]
    assert pd.isna(rows[2]["rows"]) and "no_such_table" in rows[2]["reason"]


def test_a_branch_is_asked_at_its_own_host_and_nowhere_else(sandbox: Any) -> None:
    """Production's counts, taken for the branch's, would bless any branch."""
    env = config.load_system("klutr").environment("sandbox")
    source = DatabaseSource(env, "opslib-test", lambda call: None)
    assert source.at(None) is source
    assert frames.reason(source.at("").counts(["notes"])) == "no host of it is known"
    reason = frames.reason(source.at("/nonexistent").counts(["notes"]))
    assert reason and "direct" in reason


def test_a_branch_is_planned_made_once_and_held_against_production(archive: Path, sandbox: Any) -> None:
    """Applied twice it is still one branch; production is not written to."""
    case = branch_case(timedelta(minutes=30))
    before = arrived(case)
    document = planned(case, archive)
    assert (document["verdict"], arrived(case)) == ("ok", before)
    after = applied(case, document, archive)
    assert (after["verdict"], states(after), arrived(case)) == ("ok", ["done"], before + 1), after["findings"]
    compared = next(found for found in after["findings"] if found["check"] == "compare")
    assert compared["observed"].startswith(f"{len(KLUTR.system.tables)} tables")
    again = applied(case, document, archive)
    assert (states(again), arrived(case)) == (["already done"], before + 1)
    plan = Changes(archive).plan(document["plan"]["digest"])
    assert plan["not_undoable"] and plan["risk"] == "low"


def test_a_branch_is_made_exactly_once_wherever_the_run_is_killed(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one of the same name would be refused; one of another name would be paid for in silence."""
    case = branch_case(timedelta(minutes=31))
    document = planned(case, archive)
    before = arrived(case)
    for point in ("after-intent", "after-act"):
        monkeypatch.setenv(faults.VARIABLE, point)
        assert applied(case, document, archive)["verdict"] == "unknown"
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(case, document, archive)
    assert (after["verdict"], states(after), arrived(case)) == ("ok", ["done"], before + 1), after["findings"]


def test_a_branch_of_the_same_name_that_is_there_already_is_left_alone(archive: Path) -> None:
    """Two people with the same idea: the second is told, and pays for no second branch."""
    case = branch_case(timedelta(minutes=32))
    first, second = planned(case, archive), planned(case, archive)
    assert states(applied(case, first, archive)) == ["done"]
    before = arrived(case)
    found = applied(case, second, archive)
    assert (states(found), arrived(case)) == (["left out"], before), found["changed"]


def test_supabase_is_asked_once_and_the_server_that_starts_anew_proves_it(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after the request, run again when all is over: a second restore would lose what came since."""
    case = Case("point-in-time", "", "kulti", {"at": text(timedelta(minutes=33))}, ("supabase",))
    document = perform(case.procedure, case.system, archive, **case.parameters)
    assert document["plan"]["risk"] == document["plan"]["needs"] == "break-glass"
    approve(document["plan"]["digest"], "--break-glass")
    before = arrived(case)
    monkeypatch.setenv(faults.VARIABLE, "after-act")
    assert applied(case, document, archive)["verdict"] == "unknown"
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(case, document, archive)
    assert (after["verdict"], states(after), arrived(case)) == ("ok", ["done"], before + 1), after["findings"]
    capsys.readouterr()
    short = document["plan"]["digest"].removeprefix("sha256:")[:12]
    assert cli.main(["apply", short], standalone_mode=False) == 0
    due = f'Another person must review this: opslib approve {short} --review --reason "..."'
    assert due in capsys.readouterr().out, "the glass was broken"


@pytest.mark.parametrize("system", ["klutr", "kulti"])
def test_a_moment_out_of_reach_is_refused_with_the_window(archive: Path, system: str) -> None:
    """Nothing is planned, and the person learns what can still be had."""
    document = perform("point-in-time", system, archive, at=text(timedelta(days=60)))
    found = next(one for one in document["findings"] if one["check"] == "window")
    assert (document["verdict"], document["plan"]) == ("critical", None)
    assert document["cause"]["id"] == "target-time-out-of-window"
    assert found["limit"].startswith("from ") and " to " in found["limit"]


@pytest.mark.parametrize("given", [{"minutes_ago": 0}, {"minutes_ago": -5}, {"keep_hours": 721}])
def test_numbers_out_of_bounds_are_refused_before_a_kernel_starts(
    archive: Path, given: dict[str, int]
) -> None:
    """Exit 64: a negative age is a time to come."""
    with pytest.raises(ParameterError, match=next(iter(given))):
        perform("point-in-time", "klutr", archive, **given)
    assert not (archive / "runs").exists()
