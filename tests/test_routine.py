"""A routine: every item with its result, each procedure once, the whole kept as one record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from opslib import frames
from opslib.checks import checklist
from opslib.runner import routine
from opslib.runner.lines import COLUMNS
from opslib.verdict import Finding, Status, conclude
from tests import shop
from tests.conftest import ROOT
from tests.shop import Project


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
