"""What may go, what must stay, and that both can be seen afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import masking
from opslib.archive.index import Index
from opslib.config import load_retention
from opslib.errors import ArchiveError, ConfigError, Refused, UsageError
from opslib.evidence import disposing, verify_archive
from opslib.evidence.disposing import Disposals, dispose, held, hold, read_story, wanted
from opslib.evidence.events import Disposal, Hold, Subject
from opslib.evidence.findings import Report
from opslib.evidence.retention import Rule
from tests import shop
from tests.evidencing import BEGAN, Kept, audit, later
from tests.shop import Project
from tests.test_cli import Shell

NOW = BEGAN + timedelta(days=31)
OPS = Rule("ops-30d", 30, 60, at_least=1)
CANARY = "canary-of-the-content"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Four runs of a month ago, the second one critical."""
    made = Kept(tmp_path / "archive")
    for number in range(4):
        made.run(number, verdict="critical" if number == 1 else "ok", plain=True)
    return made


def due(kept: Kept, *rules: Rule, now: Any = NOW) -> Disposals:
    """Return what rules demand."""
    return wanted(kept.archive, read_story(kept.archive, kept.trusted()), rules or (OPS,), now)


def disposed(kept: Kept, *rules: Rule, now: Any = NOW) -> Disposals:
    """Destroy what rules demand."""
    found = due(kept, *rules, now=now)
    return dispose(kept.archive, kept.log, kept.trusted(), rules or (OPS,), found.digest, now, "ana")


def verified(kept: Kept, *rules: Rule) -> Report:
    """Return what a verification finds."""
    return verify_archive(kept.archive, kept.trusted(), audit(retention=rules or (OPS,)))


def on_hold(kept: Kept, number: int, state: str = "set", at: float = 4) -> None:
    """Set or clear a hold."""
    event = Hold(time=later(at), run=f"run-{number:04d}", state=state, reason="a dispute", actor="ana")
    hold(kept.archive, kept.log, kept.trusted(), event)


def runs(found: Disposals) -> list[str]:
    """Return the runs that are due."""
    return [one.run for one in found.due]


def test_what_is_due_is_old_enough_and_not_the_newest(kept: Kept) -> None:
    """A failure is kept longer, and the last record of a procedure always; the reason of each is told."""
    found = due(kept)
    assert runs(found) == ["run-0000", "run-0002"]
    assert found.kept == {"among the newest, of which some are always kept": 1, "their time is not over": 1}
    assert runs(due(kept, now=BEGAN + timedelta(days=62))) == ["run-0000", "run-0001", "run-0002"]
    assert runs(due(kept, Rule("x", 32, 32))) == []


def test_the_first_class_that_fits_decides(kept: Kept) -> None:
    """What no class is about is kept for ever, and one that is retired destroys nothing."""
    assert runs(due(kept, Rule("other", 1, 1, procedures=("rollback",)))) == []
    assert runs(due(kept, Rule("long", 90, 90, procedures=("site-down",)), OPS)) == []
    assert runs(due(kept, Rule("short", 1, 1, environments=("sandbox",)))) == []
    assert runs(due(kept, Rule("old", 1, 1, retired=True))) == []


def test_the_content_goes_and_the_log_says_why(kept: Kept) -> None:
    """Nothing is missing: each file is told as destroyed under its rule, and the rest is sound."""
    disposed(kept)
    assert {path.name for path in kept.folder(0).iterdir()} == {"disposed.json", "run.tlog-proof"}
    assert not (kept.archive / "blobs/sha256" / hashlib.sha256(b"run-0000").hexdigest()).exists()
    report = verified(kept)
    assert report.sound and {one.kind for one in report.findings} == {"disposed"}
    assert {one.subject for one in report.findings} == {"run-0000", "run-0002"}
    leaf = read_story(kept.archive, kept.trusted()).disposals[0][1]
    assert (leaf.policy, leaf.actor, leaf.run) == ("ops-30d: 30 days", "ana", "run-0000")


def test_a_hold_wins(kept: Kept) -> None:
    """Until it is lifted."""
    on_hold(kept, 0)
    assert runs(due(kept)) == ["run-0002"] and due(kept).kept["on hold"] == 1
    assert [one.reason for one in held(read_story(kept.archive, kept.trusted()))] == ["a dispute"]
    on_hold(kept, 0, "cleared", 5)
    assert runs(due(kept)) == ["run-0000", "run-0002"]


def test_a_hold_says_when_it_can_do_nothing(kept: Kept) -> None:
    """There is none to lift, one already, no such record, or nothing left to hold."""
    with pytest.raises(UsageError, match="not on hold already"):
        on_hold(kept, 0, "cleared")
    on_hold(kept, 1)
    with pytest.raises(UsageError, match="is on hold already"):
        on_hold(kept, 1)
    with pytest.raises(UsageError, match="no sealed record"):
        on_hold(kept, 77)
    disposed(kept)
    with pytest.raises(Refused, match="was destroyed"):
        on_hold(kept, 0)


def test_a_hold_that_came_since_the_plan_was_shown_stops_all(kept: Kept) -> None:
    """What a person agreed to is not what would be done."""
    found = due(kept)
    on_hold(kept, 0)
    with pytest.raises(Refused, match="has changed meanwhile"):
        dispose(kept.archive, kept.log, kept.trusted(), (OPS,), found.digest, NOW, "ana")
    assert (kept.folder(2) / "run.ipynb").exists() and verified(kept).findings == ()


def test_who_dies_in_between_leaves_something_to_complete_and_no_attack(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was told first; the next time the rest goes."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(disposing, "_destroy", die)
        with pytest.raises(KeyboardInterrupt):
            disposed(kept)
    assert (kept.folder(0) / "run.ipynb").exists() and verified(kept).sound
    again = due(kept)
    assert [(one.run, one.logged) for one in again.due] == [("run-0000", True), ("run-0002", True)]
    disposed(kept)
    assert not (kept.folder(0) / "run.ipynb").exists() and runs(due(kept)) == []
    assert len(read_story(kept.archive, kept.trusted()).disposals) == 2


def test_a_blob_of_two_records_stays_until_both_go(tmp_path: Path) -> None:
    """Then it goes at once, too."""
    kept = Kept(tmp_path / "archive")
    for number, procedure in enumerate(("site-down", "rollback")):
        began = later(number)
        kept.begin(f"run-{number:04d}", began, procedure=procedure)
        kept.seal(kept.publish(f"run-{number:04d}", began, procedure=procedure), began, blob=b"shared")
    blob = kept.archive / "blobs/sha256" / hashlib.sha256(b"shared").hexdigest()
    rule = Rule("one", 30, 30, procedures=("site-down",))
    disposed(kept, rule)
    assert blob.exists() and verified(kept, rule).sound
    disposed(kept, rule, Rule("two", 30, 30))
    assert not blob.exists() and verified(kept, rule, Rule("two", 30, 30)).sound


def test_history_still_says_that_it_was_there_and_search_forgets_it(kept: Kept) -> None:
    """Nothing of the content is left in the index's file, which is made anew from what is left."""
    told = json.loads((kept.folder(0) / "run.json").read_bytes())
    told["predicate"]["cause"] = {"id": "x", "text": CANARY}
    told["predicate"]["causes"] = [told["predicate"]["cause"]]
    (kept.folder(0) / "run.json").write_text(json.dumps(told))
    index = Index(kept.archive)
    assert len(index.search([CANARY])) == 1
    before = index.get("run-0000")
    disposed(kept)
    after = index.get("run-0000")
    assert index.search([CANARY]) == [] and len(index.find()) == 4
    for name in ("procedure", "system", "environment", "verdict", "started_at"):
        assert after[name] == before[name]
    assert after["disposed"]["policy"] == "ops-30d: 30 days" and after["cause"] is None
    assert not [path for path, _ in index.unreadable() if "run-0000" in str(path)]
    assert CANARY.encode() not in (kept.archive / "index.sqlite").read_bytes()


def test_an_index_that_was_not_made_anew_is_when_somebody_asks(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever died in between must not leave the content in it."""
    assert len(Index(kept.archive).find()) == 4

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Index, "rebuild", die)
        with pytest.raises(KeyboardInterrupt):
            disposed(kept)
    assert Index(kept.archive).get("run-0000")["disposed"]


def gone(kept: Kept, number: int, policy: str, at: Any = NOW) -> None:
    """Destroy a notebook and log what is said to be the rule."""
    path = kept.folder(number) / "run.ipynb"
    subject = Subject("run.ipynb", hashlib.sha256(path.read_bytes()).hexdigest())
    kept.log.append(Disposal(time=at, run=kept.folder(number).name, policy=policy, subjects=(subject,)))
    path.unlink()


def gone_on_hold(kept: Kept) -> None:
    """Destroy what is on hold."""
    on_hold(kept, 0)
    gone(kept, 0, "ops-30d: 30 days")


ATTACKS: dict[str, tuple[Callable[[Kept], object], set[str]]] = {
    "by no rule": (lambda kept: gone(kept, 0, "because I say so"), {"disposed-without-rule"}),
    "by a rule that there is not": (lambda kept: gone(kept, 0, "ops-1d: 1 days"), {"disposed-without-rule"}),
    "a failure as if it were none": (
        lambda kept: gone(kept, 1, "ops-30d: 30 days"), {"disposed-without-rule"},
    ),
    "before its time": (lambda kept: gone(kept, 0, "ops-30d: 30 days", later(9)), {"disposed-early"}),
    "on hold": (gone_on_hold, {"disposed-on-hold"}),
    "without a word": (lambda kept: (kept.folder(0) / "run.ipynb").unlink(), {"deleted"}),
    "of a run that was never": (
        lambda kept: kept.log.append(Disposal(time=NOW, run="ghost", policy="ops-30d: 30 days")),
        {"disposed-without-rule"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_no_rule_demanded_is_named_as_an_attack(name: str, kept: Kept) -> None:
    """Whoever holds the log's key can write a disposal; the rules are held against it."""
    act, named = ATTACKS[name]
    act(kept)
    assert verified(kept).named() == named


def test_without_the_rules_it_is_said_what_that_leaves_open(kept: Kept) -> None:
    """And what a disposal itself says is held against its time."""
    disposed(kept)
    report = verify_archive(kept.archive, kept.trusted(), audit())
    assert report.sound and any("no rules of retention were given" in why for why in report.unproven)
    gone(kept, 3, "ops-99d: 99 days")
    assert verify_archive(kept.archive, kept.trusted(), audit()).named() == {"disposed-early"}


def test_a_log_that_is_not_sound_destroys_nothing(kept: Kept) -> None:
    """What it says of holds and times could be anybody's."""
    path = kept.log.folder / "tile/entries/000.p/12"
    path.write_bytes(path.read_bytes().replace(b'"ana"', b'"eve"', 1))
    with pytest.raises(ArchiveError, match="is not what was signed"):
        due(kept)


def test_a_folder_that_leads_out_of_the_archive_is_left_alone(kept: Kept, tmp_path: Path) -> None:
    """Whoever may write into an archive could have other people's files destroyed."""
    outside = tmp_path / "outside"
    kept.folder(0).rename(outside)
    kept.folder(0).symlink_to(outside)
    with pytest.raises(ArchiveError, match="leads out of the archive"):
        disposed(kept)
    assert (outside / "run.ipynb").exists()


RETENTION = """
classes:
  - id: ops-1d
    days: 1
    failure_days: 2
    at_least: 0
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("classes:\n  - {id: a, days: 0}", "classes.0.days"),
        ("classes:\n  - {id: a, days: 9, failure_days: 8}", "failure_days is less than days"),
        ("classes:\n  - {id: a, days: 9}\n  - {id: a, days: 8}", "a is the id of another class"),
        ("classes:\n  - {id: a b, days: 9}", "classes.0.id"),
        ("classes:\n  - {id: a, day: 9}", "unknown key"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_file_names_its_line(text: str, why: str, tmp_path: Path) -> None:
    """Destroying by a rule that was meant otherwise cannot be undone."""
    (tmp_path / "systems").mkdir()
    (tmp_path / "retention.yml").write_text(text)
    with pytest.raises(ConfigError, match=why):
        load_retention(tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a run; its rules come from the test."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


def on_a_terminal(project: Project, answer: Callable[[str], str], *words: str) -> tuple[int, str]:
    """Run a command line on a terminal, answer when it asks, and return code and screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(project.root)
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
        if not sent and "Type the number" in screen:
            os.write(terminal, f"{answer(screen)}\n".encode())
            sent = True
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    return code, screen


def test_nothing_is_ever_destroyed_without_rules(project: Project) -> None:
    """The file has to be written first."""
    done = project.opslib("dispose")
    assert done.returncode == 64 and "there is no parameters/retention.yml" in done.stderr


def test_the_commands_from_hold_to_disposal(project: Project) -> None:
    """A dry run by default; a person at a terminal who has read the list; then history says what is left."""
    (project.root / "parameters/retention.yml").write_text(RETENTION)
    folder = aged(project)
    assert project.opslib("hold", "set", "run-0000", "--reason", "case 4711").returncode == 0
    assert "case 4711" in project.opslib("hold", "list").stdout
    found = json.loads(project.opslib("dispose", "--json").stdout)
    assert found["due"] == [] and found["kept"]["on hold"] == 1
    assert project.opslib("hold", "clear", "run-0000", "--reason", "closed").returncode == 0
    assert project.opslib("dispose", "--yes").returncode == 64
    code, screen = on_a_terminal(project, lambda _: "y", "dispose", "--yes")
    notebook = folder / "run.ipynb"
    assert code == 64 and "nothing was changed" in screen and notebook.exists()
    code, screen = on_a_terminal(project, as_the_list_says, "dispose", "--yes")
    assert code == 0 and "Destroyed: 1 records" in screen, screen
    assert not notebook.exists()
    assert "ops-1d: 1 days" in project.opslib("show", "run-0000").stdout
    alone = project.opslib("verify", "run-0000")
    assert alone.returncode == 64 and "was destroyed" in alone.stderr and "under ops-1d" in alone.stderr


def as_the_list_says(screen: str) -> str:
    """Return what only a reader of the list knows."""
    line = next(line for line in screen.splitlines() if line.startswith("Plan "))
    digest, count = line.removeprefix("Plan ").split(": ")
    return f"{count.split()[0]} {digest}"


def test_secrets_do_not_come_into_the_log_by_the_reason_of_a_hold(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in a leaf stays for ever; and what would not fit is refused before."""
    aged(project)
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(masking, "_registered", {"TOKEN": "tok-29fj20fj2"})
    opslib = Shell(capsys)
    assert opslib("hold", "set", "run-0000", "--reason", "they hold tok-29fj20fj2", "--json") == 0
    assert json.loads(opslib.out)["reason"] == "they hold [redacted:TOKEN]"
    kept = b"".join(path.read_bytes() for path in (project.archive / "log").rglob("*") if path.is_file())
    assert b"tok-29fj20fj2" not in kept and b"[redacted:TOKEN]" in kept
    assert opslib("hold", "clear", "run-0000", "--reason", "x" * 70_000) == 64


def aged(project: Project) -> Path:
    """Return the record of a run of long ago, sealed by the keys of this machine."""
    from opslib.evidence import Log
    from opslib.keys.machine import machine_key
    from opslib.runner import notary

    kept = Kept(project.archive)
    kept.runner, kept.signer = machine_key("runner"), notary.log_of(project.archive).signer
    kept.log = Log(project.archive / "log", kept.signer)
    return kept.run(0, at=BEGAN - timedelta(days=300), plain=True)
