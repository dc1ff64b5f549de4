"""Every procedure that changes something, for real: fault, plan, approval, change, the same probe, undo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog, config
from opslib.archive.changes import Changes
from opslib.cli.app import cli
from opslib.errors import Refused
from opslib.gate import faults
from opslib.pg import Database
from opslib.runner import attempt
from opslib.runner.request import Request
from opslib.sandbox import control
from tests.acting import CANARY, ROOT, Case, applied, arrived, perform, planned, ready, states

STORM = Case("database-connections", "lock-storm", "kulti", vendors=("database",))
FLAG = Case("feature-flags", "bad-feature", "your-app", vendors=("database",))
SWITCH = Case("feature-flags", "bad-feature", "klutr", vendors=("posthog",))
ROLLBACK = Case("rollback", "bad-deploy", "kulti")
VARIABLE = Case(
    "env-vars", "env-var-missing", "klutr", {"name": "NEON_DATABASE_URL"}, vendors=("vercel",), secret=True
)
CASES = (STORM, FLAG, SWITCH, ROLLBACK, VARIABLE)
# One of each procedure: where the process is killed does not depend on the store behind it.
KILLED = (STORM, FLAG, ROLLBACK, VARIABLE)


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


def failing(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the findings that are not ok, for the message of a failed test."""
    return [found for found in document["findings"] if found["status"] not in ("ok", "skipped")]


def brought_back(case: Case, document: dict[str, Any], after: dict[str, Any], archive: Path) -> None:
    """Undo what was applied: the fault is there again, and the ledger says that each target is as it was."""
    code = cli.main(["undo", after["run_id"], "--json"], standalone_mode=False)
    assert code == 2, "the fault is back"
    later = perform(case.procedure, case.system, archive, **case.parameters)
    assert later["cause"]["id"] == document["cause"]["id"], failing(later)
    # Each change stands in the log, after what allows it.
    assert cli.main(["verify", "--archive", str(archive), "--json"], standalone_mode=False) == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_is_planned_approved_mended_and_found_mended(archive: Path, sandbox: Any, case: Case) -> None:
    """The exit code is what the same probe says afterwards; a plan changes nothing, done twice is done once.

    What can be undone is undone, and a secret value is in nothing that was written on the way: archive,
    home, spool, logs.
    """
    control.break_(case.scenario, case.system)
    before = arrived(case)
    document = planned(case, archive)
    assert document["verdict"] == "critical", failing(document)
    assert arrived(case) == before, "a dry run has changed something"
    after = applied(case, document, archive)
    assert after["verdict"] == "ok", failing(after)
    assert set(states(after)) == {"done"}
    assert arrived(case) - before == len(document["plan"]["targets"])
    again = applied(case, document, archive)
    assert again["verdict"] == "ok", failing(again)
    assert set(states(again)) == {"already done"}
    assert arrived(case) - before == len(document["plan"]["targets"])
    if case is STORM:  # an ended session is ended: that was said before anybody approved it
        plan = Changes(archive).plan(document["plan"]["digest"])
        assert plan["not_undoable"] and all(target["undo"] is None for target in plan["targets"])
    else:
        brought_back(case, document, after, archive)
    written = [path for root in (archive, sandbox.home) for path in root.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize("case", KILLED, ids=str)
def test_killed_at_each_point_and_applied_again_each_act_arrives_exactly_once(
    archive: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of the kernel in the middle of a change, at a real server, each time a little further on."""
    control.break_(case.scenario, case.system)
    document = planned(case, archive)
    before, arrivals = arrived(case), []
    for point in faults.POINTS:
        monkeypatch.setenv(faults.VARIABLE, point)
        cut = applied(case, document, archive)
        assert (cut["verdict"], cut["cause"]["id"]) == ("unknown", "kernel-died"), point
        arrivals.append(arrived(case) - before)
    assert arrivals == [0, 0, 1, 1]
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(case, document, archive)
    assert after["verdict"] == "ok", failing(after)
    assert set(states(after)) <= {"done", "already done"}
    assert arrived(case) - before == len(document["plan"]["targets"])


def test_who_comes_second_changes_nothing_and_learns_who_is_at_it(archive: Path) -> None:
    """One change at a time in a database, from whatever machine."""
    control.break_(STORM.scenario, STORM.system)
    document = planned(STORM, archive)
    door = config.load_system(STORM.system).environment("sandbox").operator
    assert door
    before = arrived(STORM)
    first = Database((door,), application_name="opslib/somebody-else")
    with closing(first), first.lock(f"{STORM.system}/sandbox"):
        second = applied(STORM, document, archive)
    assert set(states(second)) == {"not begun"}
    assert all("opslib/somebody-else" in row["text"] for row in second["changed"])
    assert (second["verdict"], arrived(STORM)) == ("critical", before), "the storm goes on"
    assert applied(STORM, document, archive)["verdict"] == "ok"


def test_of_two_at_once_one_is_refused_and_every_act_arrives_once(archive: Path) -> None:
    """Two people type the same command at the same moment."""
    control.break_(ROLLBACK.scenario, ROLLBACK.system)
    document = planned(ROLLBACK, archive)
    before = arrived(ROLLBACK)
    command = [sys.executable, "-m", "opslib", "apply", document["plan"]["digest"], "--json"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    found = [(row["state"], row["text"]) for one in said for row in one["changed"]]
    assert [state for state, _ in found].count("done") == 1, found
    others = [(state, text) for state, text in found if state != "done"]
    assert all(state == "already done" or "is being changed by" in text for state, text in others), found
    assert arrived(ROLLBACK) - before == len(document["plan"]["targets"])


def test_a_schedule_never_changes_anything(archive: Path) -> None:
    """Also with an approved plan; no kernel is started for it."""
    control.break_(STORM.scenario, STORM.system)
    document = planned(STORM, archive)
    chosen = catalog.load(ROOT / "notebooks").get(STORM.procedure)
    given = chosen.parse({"dry_run": False, "approval": document["plan"]["digest"]})
    target = attempt.target(STORM.system, "sandbox")
    request = Request(chosen, STORM.system, "sandbox", given, archive=archive, trigger="schedule")
    with pytest.raises(Refused, match="started by the schedule"):
        attempt.attempt(request, target)


def test_without_an_approved_plan_dry_run_off_is_refused_before_a_kernel_starts(archive: Path) -> None:
    """`-p dry_run=false` is not a way past the gate."""
    with pytest.raises(Refused, match="without an approved plan"):
        perform(STORM.procedure, STORM.system, archive, dry_run=False)
    assert not (archive / "runs").exists() or not list((archive / "runs").rglob("run.json"))
