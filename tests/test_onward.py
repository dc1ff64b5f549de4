"""Where a finding leads: to the procedure that goes on, with what it needs to know filled in."""

from __future__ import annotations

import shlex
from html import unescape
from pathlib import Path

import pytest

from opslib import catalog, config
from opslib.cli import verdicts
from opslib.run import Ops, document
from opslib.runner.card import card
from opslib.sandbox import control
from opslib.verdict import Finding, Status, Verdict, conclude
from tests import pages
from tests.acting import ROOT, perform

# What breaks, who finds it, and who goes on with which parameters.
LINKS: tuple[tuple[str, str, str, str, dict[str, list[str]]], ...] = (
    ("long-query", "klutr", "database-connections", "slow-queries", {}),
    ("bloat", "kulti", "database-health", "vacuum-analyze", {"tables": ["public.import_staging"]}),
    ("wraparound-near", "kulti", "database-health", "database-connections", {}),
    ("invalid-index", "kulti", "database-health", "reindex", {}),
    ("app-slow", "klutr", "health-check", "slow-queries", {}),
    ("bloat", "kulti", "index-usage", "reindex", {"indexes": ["public.import_staging_pkey"]}),
)


def steps(*findings: Finding, procedure: str = "site-down") -> list[dict[str, object]]:
    """Return where findings lead."""
    env = config.load_system("kulti", ROOT / "parameters").environment("production")
    return document.next_steps(Ops(procedure, env, "run-1"), conclude(findings))


def found(subject: str, **given: list[str]) -> Finding:
    """Return a finding that leads to vacuum-analyze."""
    return Finding(
        "dead rows", Status.WARNING, subject, "9", next="vacuum-analyze", next_parameters=given, why="bad"
    )


def shown(ops: Ops, verdict: Verdict, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a terminal shows of a run."""
    verdicts.show(document.build(ops, verdict))
    return capsys.readouterr().out


@pytest.mark.parametrize(("scenario", "system", "procedure", "onward", "given"), LINKS)
def test_a_finding_leads_on_with_its_parameters_filled_in(
    sandbox: object, tmp_path: Path, scenario: str, system: str, procedure: str, onward: str,
    given: dict[str, list[str]],
) -> None:  # fmt: skip
    """Nobody should have to type at 3 am what the page in front of them says."""
    control.break_(scenario, system)
    told = perform(procedure, system, tmp_path)
    (step,) = [one for one in told["next"] if one["procedure"] == onward]
    assert {name: step["parameters"].get(name) for name in given} == given
    assert onward in catalog.load(ROOT / "notebooks").get(procedure).next


def test_what_several_findings_name_is_one_step_with_all_of_it() -> None:
    """Two tables are one run of the next procedure, not two."""
    (step,) = steps(found("a", tables=["public.a"]), found("b", tables=["public.b", "public.a"]))
    assert step["parameters"] == {
        "system": "kulti", "environment": "production", "tables": ["public.a", "public.b"],
    }  # fmt: skip
    assert step["why"] == "dead rows a: bad\ndead rows b: bad"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_a_finding_that_names_nothing_widens_the_step_to_all_there_is(order: tuple[int, ...]) -> None:
    """The list of another finding would leave out the very thing that the first line is about."""
    three = (found("a", tables=["public.a"]), found("b"), found("c", tables=["public.c"]))
    (step,) = steps(*(three[number] for number in order))
    assert step["parameters"] == {"system": "kulti", "environment": "production"}
    assert str(step["why"]).count("\n") == 2


def test_who_goes_on_to_a_procedure_that_changes_something_is_sent_to_its_plan(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`run` would not show the plan that it makes."""
    onward = [Finding("x", Status.WARNING, name, "9", next=name) for name in ("locks", "reindex", "backup")]
    assert {str(step["procedure"]): step["verb"] for step in steps(*onward)} == {
        "locks": "run", "reindex": "plan", "backup": "run",
    }  # fmt: skip
    env = config.load_system("kulti", ROOT / "parameters").environment("production")
    screen = shown(Ops("site-down", env, "run-1"), conclude(onward), capsys)
    assert "opslib plan reindex --system kulti" in screen and "opslib run backup --system kulti" in screen


@pytest.mark.parametrize(
    "names",
    [["public.a"], ["public.a", "public.b"], ['public."My ""Own"""', "public.it's"], ["a,b"], ["[a]"]],
    ids=str,
)
def test_the_command_can_be_pasted_from_note_page_and_terminal_whatever_the_names_are(
    names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the same in all three places, and what it names arrives as it is."""
    env = config.load_system("kulti", ROOT / "parameters").environment("production")
    ops = Ops("site-down", env, "run-1")
    verdict = conclude([found("a", tables=names)])
    (step,) = document.next_steps(ops, verdict)
    told = [
        document.note(ops, verdict).partition("Next: ")[2].splitlines()[0],
        unescape(card("Title", pages.statement(next=[step])["predicate"]).split("<code>opslib ")[1]),
        shown(ops, verdict, capsys).partition("Next:\n  ")[2].splitlines()[0],
    ]
    (command,) = {text.removeprefix("opslib ").partition("</code>")[0] for text in told}
    words = shlex.split(command)
    assert words[1:6] == ["vacuum-analyze", "--system", "kulti", "--env", "production"]
    (given,) = [word for word in words if word.startswith("tables=")]
    chosen = catalog.load(ROOT / "notebooks").get("vacuum-analyze")
    assert chosen.parse({"tables": given.removeprefix("tables=")})["tables"] == names


def test_a_finding_does_not_lead_back_to_where_it_was_made(sandbox: object, tmp_path: Path) -> None:
    """A person would go round in circles."""
    control.break_("invalid-index", "kulti")
    told = perform("reindex", "kulti", tmp_path)
    assert told["cause"]["id"] == "invalid-index"
    assert "reindex" not in {one["next"] for one in told["findings"]}
