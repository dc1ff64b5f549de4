"""What a terminal shows of things that others wrote, and what a person may type."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opslib.cli import confirming, output
from opslib.errors import Refused
from opslib.gate.plan import Plan, Risk
from opslib.run import namespace
from opslib.run.gate import Gate
from opslib.show import changes as words
from opslib.show import plainly
from tests.changing import Office, draft, target

EVIL = "cup\x1b[2J\x1b[1;1H\r\n  2. harmless\u202egnp\x9b\u200b"


def evil(office: Office, env: str = "staging") -> Plan:
    """Return a plan whose words try to hide what it does."""
    made = replace(
        draft(target(EVIL, "1", EVIL)), title=EVIL, blast=EVIL, left_out={EVIL: EVIL}, undo=(EVIL,)
    )
    return office.plan(made, env, parameters={"name": EVIL})


def hidden(text: str) -> set[str]:
    """Return the letters of a text that a terminal would not show as such."""
    return {letter for letter in text if letter != "\n" and not letter.isprintable()}


def test_nothing_in_a_plan_moves_the_cursor_or_makes_a_line_of_its_own(office: Office) -> None:
    """Who approves reads a terminal: an escape sequence could wipe out what stands there."""
    text = words.plan_text(evil(office), "self", {"name": EVIL})
    assert hidden(text) == set()
    assert "\n  2. harmless" not in text and r"\x1b[2J" in text


def test_many_targets_are_told_in_short_lines(office: Office) -> None:
    """A checksum is cut, and what users notice is said once where it is the same; a name stays whole."""
    sums = ["0a" * 32, "1b" * 32]
    made = draft(*(target(one, "0", one) for one in sums))
    text = words.plan_text(office.plan(made), "self", {})
    assert [text.count(one) for one in sums] == [1, 1], "in its name"
    assert f"value {sums[0][:12]}…\n" in text and text.count("nothing") == 1
    other = replace(made, targets=(made.targets[0], replace(made.targets[1], effect="a minute of waiting")))
    apart = words.plan_text(office.plan(other), "self", {})
    assert "users: nothing" in apart and "users: a minute of waiting" in apart


@pytest.mark.parametrize(
    ("figure", "name", "said"),
    [
        (1, "entries", "1 entry"), (2, "entries", "2 entries"), (1, "files", "1 file"),
        (1, "open transactions", "1 open transaction"),
        (1, "minutes of writes lost", "1 minute of writes lost"),
        (1, "percent of users now", "1 percent of users now"), (0, "users", "0 users"),
        (1, "deployments into production", "1 deployment into production"),
    ],
)  # fmt: skip
def test_one_thing_is_named_in_the_singular(office: Office, figure: int, name: str, said: str) -> None:
    """`1 entries` reads as if something were missing."""
    made = replace(draft(target("a", "1", "2")), blast="nobody notices", numbers={name: figure})
    assert f"nobody notices ({said})" in words.plan_text(office.plan(made), "self", {})


def test_letters_of_all_languages_are_shown_as_they_are() -> None:
    """Only what nobody could see is written out."""
    assert plainly.lines("Tür 日本 😀 ñ\nx") == "Tür 日本 😀 ñ\nx"


def test_all_that_commands_print_for_people_goes_through_the_same_sieve(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Answers of vendors, errors, tables."""
    output.say(EVIL)
    output.note(EVIL)
    output.table(("A",), [(EVIL,)])
    shown = capsys.readouterr()
    assert hidden(shown.out + shown.err) == set()


def test_commands_show_a_hostile_plan_safely(office: Office) -> None:
    """From approve to apply and plans, in words, results and errors."""
    plan = evil(office)
    for given in (
        ["approve", plan.short, "-r", EVIL.strip("\n")],
        ["plans"],
        ["apply", plan.short],
        ["apply", EVIL],
    ):
        done = opslib(office, *[word.encode() for word in given])
        assert hidden((done.stdout + done.stderr).decode()) == set(), given
        assert b"Traceback" not in done.stderr and b"broke" not in done.stderr


def opslib(office: Office, *given: bytes, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command line without a terminal."""
    command = [os.fsencode(sys.executable), b"-m", b"opslib", *given]
    return subprocess.run(command, cwd=office.root, capture_output=True, input=stdin, check=False)


def test_what_is_asked_for_can_be_typed_as_it_stands_on_the_screen(office: Office) -> None:
    """Else a name with an invisible letter could never be approved."""
    assert confirming.challenge(evil(office))[1].startswith(r"cup\x1b[2J")


@pytest.mark.parametrize(
    "given",
    [
        [b"approve", b"@", b"-r", b"\xff\xfe"], [b"approve", b"@", b"-r", b"x" * 2001],
        [b"approve", b"\xff", b"-r", b"x"],
        [b"approve", b"@", b"-r", b"x", b"--incident", b"\xff"], [b"approve", b"@", b"-r", b" \t\n"],
        [b"apply", b""], [b"apply", b"\xff"], [b"undo", b""], [b"undo", b"\xff"], [b"undo", b"x" * 5000],
        [b"plan", b"\xff", b"--system", b"shop"], [b"keys", b"init", b"--name", b"\x1b[2J", b"--force"],
        [b"keys", b"init", b"--ssh", b"/dev/null", b"--force"], [b"plans", b"--archive", b"http://x"],
    ],
    ids=lambda given: repr(b" ".join(given))[:60],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_the_next_step(office: Office, given: list[bytes]) -> None:
    """Never a crash; nothing is written."""
    plan = office.plan(draft(target("a", "1", "2")), "staging")
    done = opslib(office, *[plan.short.encode() if word == b"@" else word for word in given])
    assert done.returncode == 64, done.stderr
    assert "→" in done.stderr.decode() and office.changes.approvals(plan.digest) == ()


def test_one_damaged_plan_does_not_hide_the_others(office: Office) -> None:
    """Whatever is wrong with it."""
    plan = office.plan(draft(target("a", "1", "2")), "staging")
    office.changes.keep({**plan.document, "targets": []})
    other = office.plan(draft(target("b", "1", "2")), "staging")
    office.changes.write(other.digest, {"type": "started"}, [])
    (office.changes.folder(plan.digest) / "approval-x.json").write_text("x")
    done = opslib(office, b"plans")
    assert done.returncode == 0 and plan.short.encode() in done.stdout
    assert done.stderr.count(b"opslib: sha256:") == 2


def test_who_broke_the_glass_leaves_no_review_behind_when_refused(office: Office) -> None:
    """What is refused has written nothing."""
    from opslib.gate.ledger import Ledger

    people = office.root / "parameters" / "people.yml"
    rights = "name: Ada, may: [approve, apply, break-glass],"
    people.write_text(people.read_text().replace("name: Ada,", rights))
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.BREAK_GLASS), "staging")
    office.approve(plan, break_glass=True)
    Ledger(office.changes, plan.digest, "run-2").started({})
    done = opslib(office, b"approve", plan.short.encode(), b"--review", b"-r", b"fine")
    assert done.returncode == 64 and b"another person must review" in done.stderr
    assert len(office.changes.approvals(plan.digest)) == 1


@pytest.mark.parametrize(
    "now",
    [{"dry_run": True}, {"approval": "other"}, {"system": "other"}, {"environment": "staging"}],
    ids=str,
)
def test_a_notebook_whose_variables_changed_since_it_began_applies_nothing(
    office: Office, now: dict[str, object]
) -> None:
    """In JupyterLab: `dry_run` says True again, and the cell that applies is run with the `ops` of before."""
    plan = office.plan(draft(target("a", "1", "2")))
    office.approve(plan)
    with pytest.raises(Refused, match="changed since `ops` was made"):
        gate(office, plan, "shelving", **now).apply(plan)


def test_a_plan_is_of_one_state_of_its_notebook_but_an_undo_is_not(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undo's acts are those that were approved; waiting for the old notebook would keep the harm."""
    monkeypatch.setenv("OPSLIB_NOTEBOOKS", str(Path(__file__).parents[1] / "notebooks"))
    given = namespace.parameters("rollback", {})
    own: dict[str, Any] = {"procedure": "rollback", "parameters": given, "notebook": "sha256:of-last-week"}
    plan = office.plan(draft(target("a", "1", "2")), **own)
    with pytest.raises(Refused, match="the notebook has changed since plan"):
        gate(office, plan, "rollback")._matches(plan)
    undo = office.plan(draft(target("a", "2", "1")), undoes=plan.digest, **own)
    gate(office, undo, "rollback")._matches(undo)


def gate(office: Office, plan: Plan, procedure: str, **now: object) -> Gate:
    """Return the gate of a notebook that was begun to apply a plan, and whose variables say this by now."""
    begun = {"dry_run": False, "approval": plan.short, "system": "shop", "environment": "production"}
    env = office.env()
    ops = SimpleNamespace(env=env, system=env.system, procedure=procedure, run_id="run-2", calls=[])
    return Gate(ops, dry_run=False, approval=plan.short, values={**begun, **now})  # type: ignore[arg-type]
