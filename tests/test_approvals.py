"""`opslib approve`, `apply`, `plans`, `undo` on a command line: who agrees, and what is refused."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from opslib import keys, masking
from opslib.gate.plan import Plan, Risk
from tests.changing import Office, Shelf, draft, target
from tests.test_cli import Shell

WORDS = ("approve", "--reason", "checkout hangs")


def opslib(office: Office, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line without a terminal."""
    command = [sys.executable, "-m", "opslib", *words]
    return subprocess.run(
        command, cwd=office.root, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def on_a_terminal(office: Office, typed: str, *words: str) -> tuple[int, str]:
    """Run a command line on a terminal, type a line when it asks, and return code and screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(office.root)
        os.execv(sys.executable, [sys.executable, "-m", "opslib", *words])
    screen, sent, deadline = "", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            piece = os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        screen += piece
        if not sent and "Type the name" in screen:
            os.write(terminal, f"{typed}\n".encode())
            sent = True
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    return code, screen


def medium(office: Office, env: str = "production") -> Plan:
    """Return a plan of medium risk."""
    return office.plan(
        draft(target("blue vase", "shelf 1", "shelf 2"), target("cup", "shelf 1", "shelf 2")), env
    )


def test_secrets_are_masked_in_the_reason_before_it_is_signed(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was signed lies in the archive, and is handed over to auditors."""
    monkeypatch.setattr(masking, "_registered", {"TOKEN": "tok-29fj20fj2"})
    monkeypatch.chdir(office.root)
    plan = medium(office, "sandbox")
    words = (
        "approve",
        plan.short,
        "--reason",
        "tok-29fj20fj2 leaks",
        "--incident",
        "tok-29fj20fj2",
        "--json",
    )
    assert Shell(capsys)(*words) == 0
    stated = json.loads(office.changes.approvals(plan.digest)[0]["statement"])
    assert (stated["reason"], stated["incident"]) == ("[redacted:TOKEN] leaks", "[redacted:TOKEN]")


def test_production_is_agreed_to_by_who_has_read_the_screen(office: Office) -> None:
    """The answer is on the screen, and not in the question."""
    plan = medium(office)
    code, screen = on_a_terminal(office, "blue vase 2", *WORDS, plan.short)
    assert code == 0, screen
    assert "Approved by ada until" in screen
    stated = json.loads(office.changes.approvals(plan.digest)[0]["statement"])
    assert (stated["reason"], stated["confirmed"]) == ("checkout hangs", "blue vase 2")
    question = screen.partition("Type the name")[2].splitlines()[0]
    assert "blue vase" not in question.partition(":")[0]


def test_who_has_not_read_the_screen_agrees_to_nothing(office: Office) -> None:
    """`y` is what people type without reading."""
    plan = medium(office)
    code, screen = on_a_terminal(office, "y", *WORDS, plan.short)
    assert (code, office.changes.approvals(plan.digest)) == (64, ()), screen
    assert "nothing was changed" in screen


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["pipe", "json"])
def test_a_pipe_agrees_to_nothing_in_production(office: Office, more: tuple[str, ...]) -> None:
    """Not interactive never means yes."""
    plan = medium(office)
    done = opslib(office, *WORDS, plan.short, *more)
    assert (done.returncode, office.changes.approvals(plan.digest)) == (64, ())
    assert "a person at a terminal" in done.stderr


def test_json_agrees_to_nothing_in_production_even_on_a_terminal(office: Office) -> None:
    """A program may own a terminal."""
    plan = medium(office)
    code, screen = on_a_terminal(office, "blue vase 2", *WORDS, plan.short, "--json")
    assert (code, office.changes.approvals(plan.digest)) == (64, ()), screen


def test_elsewhere_a_signature_is_enough_and_the_name_is_that_of_the_key(office: Office) -> None:
    """There is no flag for a name, and the user's name of the machine does not matter."""
    plan = medium(office, "staging")
    done = opslib(office, *WORDS, plan.short, "--incident", "INC-12", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["approved_by"] == "ada"
    office.become("bob")
    assert json.loads(opslib(office, *WORDS, plan.short, "--json").stdout)["approved_by"] == "bob"


def test_stock_ssh_keygen_verifies_an_approval(office: Office) -> None:
    """An auditor needs no opslib for that."""
    plan = medium(office, "staging")
    document = office.approve(plan)
    allowed, signature = office.root / "allowed", office.root / "approval.sig"
    allowed.write_text(f"ada {office.fingerprints['ada']}\n")
    signature.write_text(document["signature"])
    command = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "ada", "-n", "opslib-change", "-s"]
    try:
        done = subprocess.run(
            [*command, str(signature)], input=document["statement"].encode(), capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no ssh-keygen on this machine")
    assert done.returncode == 0, done.stderr


def test_who_made_the_plan_is_told_at_once_that_another_person_must_approve(office: Office) -> None:
    """Not only when it is applied."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH), "staging")
    done = opslib(office, *WORDS, plan.short)
    assert done.returncode == 64
    assert "ada made plan" in done.stderr and "another person must approve" in done.stderr


def refused(office: Office, *words: str) -> str:
    """Return what is said when a command is refused with 64; nothing may have been changed."""
    before = sorted(str(path) for path in (office.root / "archive" / "changes").rglob("*.json*"))
    done = opslib(office, *words)
    assert done.returncode == 64, done.stdout + done.stderr
    assert "→" in done.stderr, "the next step is missing"
    assert sorted(str(path) for path in (office.root / "archive" / "changes").rglob("*.json*")) == before
    return done.stderr


def test_without_a_key_nobody_approves_and_the_next_step_is_named(office: Office) -> None:
    """The first thing that a new colleague meets."""
    plan = medium(office, "staging")
    office.become("nobody")
    assert "opslib keys init" in refused(office, *WORDS, plan.short)


def test_a_key_that_nobody_knows_approves_nothing(office: Office) -> None:
    """The line for people.yml is one command away."""
    plan = medium(office, "staging")
    office.become("stranger")
    assert "nobody in parameters/people.yml has the key" in refused(office, *WORDS, plan.short)


def test_a_private_key_that_others_may_read_is_not_used(office: Office) -> None:
    """Whoever can read it can be you."""
    plan = medium(office, "staging")
    (office.root / "home-ada" / "keys" / "id_ed25519").chmod(0o644)
    assert "chmod" in refused(office, *WORDS, plan.short)


@pytest.mark.parametrize(
    "words, said",
    [
        (("apply", "0123456789"), "there is no plan 0123456789"),
        (("apply", "../../x"), "no digest"),
        (("approve", "0123456789", "--reason", "x"), "there is no plan"),
        (("undo", "0123456789"), "0123456789"),
        (("approve", "0123456789", "--reason", " "), "the reason is empty"),
    ],
)
def test_what_names_no_plan_is_refused(office: Office, words: tuple[str, ...], said: str) -> None:
    """With the command that lists them."""
    assert said in refused(office, *words)


def test_an_expired_plan_is_neither_approved_nor_applied(office: Office) -> None:
    """It is made again in seconds."""
    plan = office.plan(draft(target("a", "1", "2")), "staging", age=31)
    assert "expired" in refused(office, *WORDS, plan.short)
    assert "expired" in refused(office, "apply", plan.short)


def test_a_clock_that_goes_wrong_is_named(office: Office) -> None:
    """Signatures with wrong times would be worth nothing."""
    plan = office.plan(draft(target("a", "1", "2")), "staging", age=-10)
    assert "still to come" in refused(office, *WORDS, plan.short)
    assert "clock" in refused(office, "apply", plan.short)


def test_a_plan_is_not_applied_where_it_was_not_made_for(office: Office) -> None:
    """Before a kernel is started."""
    plan = medium(office, "staging")
    assert "not production" in refused(office, "apply", plan.short, "--env", "production")


def test_a_plan_without_approval_is_not_applied_and_says_how_to_go_on(office: Office) -> None:
    """The very command to paste."""
    plan = office.plan(draft(target("a", "1", "2"), risk=Risk.HIGH), "staging")
    assert f"opslib approve {plan.short}" in refused(office, "apply", plan.short)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_archive_that_cannot_be_written_changes_nothing(office: Office) -> None:
    """No ledger, no act."""
    plan = medium(office, "staging")
    folder = office.changes.folder(plan.digest)
    folder.chmod(0o500)
    try:
        assert "cannot be used" in refused(office, *WORDS, plan.short)
    finally:
        folder.chmod(0o700)


def test_an_archive_that_is_no_folder_changes_nothing(office: Office) -> None:
    """Also for root."""
    (office.root / "file").write_text("")
    assert "archive" in refused(office, "apply", "0123456789", "--archive", str(office.root / "file"))


def test_plans_lists_what_waits_and_who_approved(office: Office) -> None:
    """The first look of who comes on duty."""
    waiting, approved = medium(office, "staging"), medium(office)
    office.plan(draft(target("a", "1", "2")), "staging", age=31)
    office.approve(approved)
    rows = {row["digest"]: row for row in json.loads(opslib(office, "plans", "--json").stdout)["plans"]}
    assert set(rows) == {waiting.digest, approved.digest}
    assert (rows[approved.digest]["state"], rows[approved.digest]["approved_by"]) == ("approved", ["ada"])
    every = json.loads(opslib(office, "plans", "--all", "--json").stdout)["plans"]
    assert {row["state"] for row in every} >= {"expired"}
    assert waiting.short in opslib(office, "plans").stdout


def test_who_approves_what_was_applied_is_told_that_nothing_is_left_to_do(office: Office) -> None:
    """`To carry it out` would have it tried again; a plan that is half done is still to be carried out."""
    plan = office.plan(draft(target("a", "1", "2"), target("b", "1", "2")), "staging")
    office.applying(plan, Shelf(a="1"))
    assert f"To carry it out: opslib apply {plan.short}" in opslib(office, *WORDS, plan.short).stdout
    office.applying(plan, Shelf(a="2", b="1"))
    said = opslib(office, *WORDS, plan.short).stdout.splitlines()[-1]
    assert re.fullmatch(
        r"It was applied at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ UTC; nothing is left to do\.", said
    )


def test_a_plan_tells_each_moment_with_its_day_and_zone(office: Office) -> None:
    """`at 13:16:11` may be of another day, and of another zone."""
    made = draft(target("a", "2026-11-20T13:16:11.804512Z", "2026-11-20T13:16:12+02:00"))
    made = replace(made, numbers={"minutes of writes lost": 1560})
    plan = office.plan(made, "staging", parameters={"at": "2026-11-19T13:16:11Z"})
    said = opslib(office, *WORDS, plan.short).stdout
    assert "(1560 minutes of writes lost, that is 26 hours)" in said
    assert "asked for: at 2026-11-19 13:16:11 UTC" in said
    assert "value 2026-11-20 13:16:11.804 UTC  ->  value 2026-11-20 13:16:12 +02:00" in said


def test_the_latest_plan_is_a_word_for_rehearsals_only(office: Office) -> None:
    """In production somebody else's plan may have come in between."""
    medium(office)
    assert "by its digest" in refused(office, *WORDS, "latest")


def test_no_private_key_is_printed_or_written_by_any_of_this(office: Office) -> None:
    """A canary in the middle of the key's own text."""
    canary = (office.root / "home-ada" / "keys" / "id_ed25519").read_text().splitlines()[2]
    plan = medium(office, "staging")
    done = opslib(office, *WORDS, plan.short)
    assert canary not in done.stdout + done.stderr
    others = [path for path in office.root.rglob("*") if path.is_file() and path.name != "id_ed25519"]
    assert not [path for path in others if canary in path.read_text(errors="replace")]
    assert keys.own() is not None
