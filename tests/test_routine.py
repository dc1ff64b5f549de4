"""A routine: every item with its result, each procedure once, the whole kept as one record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opslib import frames
from opslib.archive.index import Index
from opslib.checks import checklist
from opslib.runner import apart, routine
from opslib.runner.lines import COLUMNS
from opslib.verdict import Finding, Status, conclude
from tests import shop
from tests.conftest import ROOT
from tests.shop import Project
from tests.waiting import alive, wait


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the real checklist beside its own notebooks."""
    monkeypatch.chdir(tmp_path)
    built = shop.build(tmp_path, monkeypatch)
    target = built.notebooks / "review" / "checklist.ipynb"
    target.parent.mkdir()
    target.write_bytes((ROOT / "notebooks" / "review" / "checklist.ipynb").read_bytes())
    return built


def items(project: Project, text: str) -> None:
    """Give the shop another daily list."""
    path = project.root / "parameters" / "systems" / "shop.yml"
    before = path.read_text(encoding="utf-8").partition("routines:")[0]
    path.write_text(f"{before}routines:\n  daily:\n    source: ours\n    items:\n{text}", encoding="utf-8")


def history(project: Project) -> list[dict[str, Any]]:
    """Return the records, the newest first."""
    found = json.loads(project.opslib("history", "--json").stdout)["runs"]
    return [dict(run) for run in found]


def line(**values: str) -> dict[str, str]:
    """Return one item as the checklist gets it."""
    return {**dict.fromkeys(COLUMNS, ""), "item": "Is it warm?", "by": "procedure", "verdict": "ok", **values}


def analysed(*lines: dict[str, str]) -> list[Finding]:
    """Return the findings of a list."""
    return checklist.analyse(pd.DataFrame(lines, columns=list(COLUMNS)))


def test_a_routine_is_kept_as_one_record_that_reuses_the_runs_just_made(project: Project) -> None:
    """The checklist does not run the procedures a second time."""
    done = routine.run_routine("shop", "production", "daily", archive=project.archive)
    assert done.status is Status.OK
    assert done.document and done.document["procedure"] == "checklist"
    assert [run["procedure"] for run in history(project)] == ["checklist", "too-warm"]
    assert [finding["status"] for finding in done.document["findings"]] == [
        "ok",
        "skipped",
        "skipped",
        "skipped",
    ]


def test_an_item_that_is_critical_makes_the_routine_critical_and_names_its_procedure(
    project: Project,
) -> None:
    """One number for the whole list, and where to go on."""
    items(project, "      - {id: a, title: Is it hot?, procedure: too-warm, parameters: {degrees: 45}}\n")
    done = routine.run_routine("shop", "production", "daily", archive=project.archive)
    assert done.status is Status.CRITICAL
    assert done.document and done.document["next"][0]["procedure"] == "too-warm"


def test_items_with_the_same_procedure_and_parameters_share_one_run(project: Project) -> None:
    """Two lines of a runbook, one look."""
    items(
        project,
        "      - {id: a, title: Is it warm?, procedure: too-warm}\n"
        "      - {id: b, title: And the fan?, procedure: too-warm}\n"
        "      - {id: c, title: Is it hot?, procedure: too-warm, parameters: {degrees: 35}}\n",
    )
    done = routine.run_routine("shop", "production", "daily", archive=project.archive)
    assert [line.verdict for line in done.lines] == ["ok", "ok", "warning"]
    assert len({line.record for line in done.lines}) == 2


def test_the_checklist_alone_runs_what_has_no_fresh_record(project: Project) -> None:
    """In JupyterLab nobody has run the procedures before."""
    first = project.opslib("run", "checklist", "--system", "shop", "--json")
    assert json.loads(first.stdout)["verdict"] == "ok"
    assert sorted(run["procedure"] for run in history(project)) == ["checklist", "too-warm"]


def test_a_record_that_is_fresh_counts_and_an_old_one_does_not(project: Project) -> None:
    """`max_age_minutes` decides."""
    project.opslib("run", "too-warm", "--system", "shop")
    states = [
        list(routine.collect("shop", "production", "daily", minutes, project.archive)["state"])
        for minutes in (30, 0)
    ]
    rest = ["not built", "not possible", "open"]
    assert states == [["fresh", *rest], ["ran", *rest]]


def test_a_wrong_parameter_in_the_list_is_that_items_failure_only(project: Project) -> None:
    """The other items are still gone through."""
    items(
        project,
        "      - {id: a, title: Is it warm?, procedure: too-warm}\n"
        "      - {id: b, title: Is it hot?, procedure: too-warm, parameters: {degree: 1}}\n",
    )
    done = routine.run_routine("shop", "production", "daily", archive=project.archive)
    assert [(line.verdict, line.state) for line in done.lines] == [("ok", "ran"), ("unknown", "failed")]
    assert "did you mean degrees" in done.lines[1].why
    assert done.status is Status.UNKNOWN


def test_a_checklist_inside_a_checklist_is_refused(project: Project) -> None:
    """It would call itself for ever."""
    items(project, "      - {id: a, title: All of it, procedure: checklist}\n")
    done = routine.run_routine("shop", "production", "daily", archive=project.archive)
    assert [line.state for line in done.lines] == ["not possible"]


def test_a_list_that_the_system_does_not_have_is_unknown(project: Project) -> None:
    """Asked from a notebook, the answer is an empty frame with the reason."""
    found = routine.collect("shop", "production", "yearly", 30, project.archive)
    assert "no routine 'yearly'" in (frames.reason(found) or "")
    assert [finding.status for finding in checklist.analyse(found)] == [Status.UNKNOWN]


def test_an_open_item_does_not_change_the_verdict() -> None:
    """What only a person can do is shown, not judged."""
    findings = analysed(line(), line(item="Read the tickets", by="person", verdict="skipped", state="open"))
    assert [finding.status for finding in findings] == [Status.OK, Status.SKIPPED]
    assert conclude(findings).status is Status.OK


def test_a_list_of_open_items_only_is_unknown() -> None:
    """Nothing was looked at."""
    assert conclude(analysed(line(verdict="skipped", state="open"))).status is Status.UNKNOWN


def test_an_empty_list_is_unknown() -> None:
    """No item is not a good result."""
    assert conclude(analysed()).status is Status.UNKNOWN


def test_the_cause_of_an_item_is_the_cause_of_the_list() -> None:
    """So that the routine's record names what to act on."""
    found = analysed(line(verdict="critical", procedure="too-warm", cause="fan", why="the fan stands still"))
    cause = conclude(found).cause
    assert cause and (cause.id, cause.text) == ("fan", "the fan stands still")
    assert found[0].next == "too-warm"


DIES = "import os; os._exit(7)\n"
HANGS = "import os, pathlib, time\npathlib.Path({!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n"
COLLECT = "import sys\nfrom pathlib import Path\nfrom opslib.runner import routine\n" \
    "routine.collect('shop', 'production', 'daily', 30, Path(sys.argv[1]))"  # fmt: skip


def add(project: Project, name: str, first: str) -> None:
    """Write a procedure that does something else before it looks."""
    path = project.notebooks / "monitor" / f"{name}.ipynb"
    shop.write_notebook(path)
    source = json.loads(path.read_text(encoding="utf-8"))
    source["cells"][4]["source"] = first + source["cells"][4]["source"]
    path.write_text(json.dumps(source), encoding="utf-8")


def test_a_procedure_that_breaks_is_its_items_verdict_and_the_routine_is_kept(project: Project) -> None:
    """A dead kernel, a record that cannot be kept: the item after them is looked at, and the whole kept."""
    runs, mark = project.archive / "runs", project.root / "was-full"
    once = f"import pathlib, shutil\nruns, mark = pathlib.Path({str(runs)!r}), pathlib.Path({str(mark)!r})\n"
    block = f"{once}if not mark.exists(): mark.touch(); shutil.rmtree(runs); runs.touch()\n"
    heal = f"{once}if runs.is_file(): runs.unlink()\n"
    add(project, "dead", DIES)
    add(project, "full", block)
    add(project, "healing", heal)
    items(
        project,
        "      - {id: a, title: Does it live?, procedure: dead}\n"
        "      - {id: b, title: Is there room?, procedure: full}\n"
        "      - {id: c, title: Is it well again?, procedure: healing}\n",
    )
    done = routine.run_routine("shop", "production", "daily", archive=project.archive, jobs=1)
    assert [(line.verdict, line.cause, line.state) for line in done.lines] == [
        ("unknown", "kernel-died", "ran"),
        ("unknown", "not-kept", "failed"),
        ("ok", "", "ran"),
    ]
    assert done.status is Status.UNKNOWN
    assert done.document and Path(done.document["record"], "run.json").is_file()


def test_the_checklist_alone_runs_all_that_it_misses_with_the_parameters_of_each(project: Project) -> None:
    """One process for all of them; what breaks in it is the verdict of one item."""
    add(project, "dead", DIES)
    items(
        project,
        "      - {id: a, title: Is it warm?, procedure: too-warm}\n"
        "      - {id: b, title: Is it hot?, procedure: too-warm, parameters: {degrees: 45}}\n"
        "      - {id: c, title: Does it live?, procedure: dead}\n",
    )
    found = routine.collect("shop", "production", "daily", 30, project.archive)
    assert list(found["verdict"]) == ["ok", "critical", "unknown"]
    assert list(found["cause"]) == ["", "", "kernel-died"]
    assert list(routine.collect("shop", "production", "daily", 30, project.archive)["state"]) == ["fresh"] * 3


def test_of_a_process_that_was_killed_the_records_count(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had ended is known; what had not is unknown."""
    mark = project.root / "killer"
    add(
        project,
        "killer",
        "import os, pathlib, time\nfrom opslib.archive.index import Index\n"
        f"while not Index(pathlib.Path({str(project.archive)!r})).find(): time.sleep(0.01)\n"
        f"os.kill(int(pathlib.Path({str(mark)!r}).read_text()), 9)\n",
    )
    program = (
        "import os, pathlib\nfrom opslib.runner import apart\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\napart.main()\n"
    )
    items(
        project,
        "      - {id: a, title: Is it warm?, procedure: too-warm}\n"
        "      - {id: b, title: Who is there?, procedure: killer}\n",
    )
    monkeypatch.setattr(apart, "PROGRAM", ["-c", program])
    found = routine.collect("shop", "production", "daily", 30, project.archive)
    assert list(found["verdict"]) == ["ok", "unknown"]
    assert list(found["cause"]) == ["", "interrupted"]


def test_what_the_checklist_has_started_ends_with_it_and_keeps_its_records(project: Project) -> None:
    """Its kernel is killed in the middle: no run goes on for nobody."""
    mark = project.root / "hangs"
    add(project, "hanging", HANGS.format(str(mark)))
    items(project, "      - {id: a, title: Is it warm?, procedure: hanging}\n")
    asking = subprocess.Popen([sys.executable, "-c", COLLECT, str(project.archive)], cwd=project.root)
    wait(lambda: mark.exists() and mark.read_text())
    asking.kill()
    asking.wait()
    wait(lambda: Index(project.archive).find())
    assert [(run["procedure"], run["cause"]["id"]) for run in history(project)] == [
        ("hanging", "interrupted")
    ]
    wait(lambda: not alive(mark))
