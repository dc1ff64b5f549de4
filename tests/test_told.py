"""What people do is told to the log: they approve, change, note, and plan what runs when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from opslib import config, ids, keys
from opslib.archive.notes import Notes
from opslib.cli.app import cli
from opslib.evidence import Scope, verify_archive
from opslib.evidence.events import Event, ScheduleChanged
from opslib.evidence.tiles import bundles
from opslib.gate import authority
from opslib.runner import deeds, known, notary, people, planning, scheduled
from opslib.schedule import Due, Ticked
from tests.changing import Office, draft, target
from tests.shop import Project, build

SLOTS = """
slots:
  - {id: hourly, procedure: too-warm, system: shop, environment: production, cron: "0 * * * *", owner: me}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a schedule."""
    made = build(tmp_path, monkeypatch)
    made.schedule(SLOTS)
    return made


def told(archive: Path) -> list[Event]:
    """Return the events of an archive's log."""
    from opslib.evidence.events import decode_event
    from opslib.evidence.notes import Checkpoint

    note = notary.log_of(archive).head()
    size = Checkpoint.parse(note.text).size if note else 0
    return [decode_event(leaf) for leaves in bundles(archive / "log", size) for leaf in leaves]


def kinds(archive: Path) -> list[str]:
    """Return what kinds of events they are."""
    return [event.kind for event in told(archive)]


def named(archive: Path) -> set[str]:
    """Verify an archive with this machine's keys, and return the names of all faults."""
    return verify_archive(archive, notary.own_trust(archive)).named()


def command(*words: str) -> int:
    """Run a command line in this process."""
    return int(cli.main(list(words), standalone_mode=False))


def test_an_approval_is_in_the_log_with_whose_key_it_was(office: Office) -> None:
    """Its name comes from the key; what was signed is there by its digest."""
    plan = office.plan(draft(target("cup", "1", "2")), "staging")
    assert command("approve", plan.short, "--reason", "checkout hangs", "--json") == 0
    (event,) = told(office.changes.archive)
    assert (event.kind, event.actor) == ("approval", "ada")
    assert vars(event)["plan"] == plan.digest and vars(event)["decision"] == "approved"
    (path,) = office.changes.approval_files(plan.digest)
    assert event.subjects[0].name == f"changes/{plan.digest[7:]}/{path.name}"
    assert named(office.changes.archive) == set()
    path.write_text(path.read_text().replace("checkout", "nothing"))
    assert named(office.changes.archive) == {"approval-edited"}


@pytest.mark.parametrize("logged", [True, False], ids=["with this log", "with the log of another machine"])
def test_a_change_stands_in_the_log_after_what_allows_it(office: Office, logged: bool) -> None:
    """An approval that was given where this log cannot be written is in it when it counts, and once."""
    archive = office.changes.archive
    plan = office.plan(draft(target("cup", "1", "2")), "staging")
    office.approve(plan, minutes=100_000)  # longer than is allowed: it does not count
    document = office.approve(plan)
    if logged:
        deeds.approved(archive, office.changes.approval_files(plan.digest)[-1], document, "ada")
    allowed = authority.allow(plan, office.env("staging"), office.changes, ids.now())
    for run in ("run-1", "run-2"):
        deeds.begun(archive, run, plan, office.env("staging"), allowed)
    assert kinds(archive) == ["approval", "change.begun", "change.begun"]
    assert named(archive) == set()
    known = people.known_people()
    assert known and {one.person for one in known.values()} == {"ada", "bob"}
    assert verify_archive(archive, replace(notary.own_trust(archive), people=known)).findings == ()


def test_whose_key_it_was_follows_from_the_signature(office: Office) -> None:
    """What else stands in the file could keep a change out of the log."""
    plan = office.plan(draft(target("cup", "1", "2")), "staging")
    document = {**office.approve(plan), "key": "ssh-ed25519 nonsense"}
    path = office.changes.add_approval(plan.digest, document)
    deeds.approved(office.changes.archive, path, document, "ada")
    (event,) = told(office.changes.archive)
    signer = keys.own()
    assert signer and vars(event)["key"] == signer.fingerprint
    assert named(office.changes.archive) == set()


def test_verify_holds_approvals_against_the_people_of_the_project(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is not in the file approves nothing; without the file it is said that nobody looked."""
    archive, people_yml = office.changes.archive, office.root / "parameters" / "people.yml"
    plan = office.plan(draft(target("cup", "1", "2")), "staging")
    office.approve(plan)
    allowed = authority.allow(plan, office.env("staging"), office.changes, ids.now())
    deeds.begun(archive, "run-1", plan, office.env("staging"), allowed)
    assert command("verify") == 0 and "keys of people were not at hand" not in capsys.readouterr().out
    people_yml.write_text("people: []\n")
    assert command("verify") == 2 and "is the key of nobody who is known" in capsys.readouterr().out
    people_yml.unlink()
    assert command("verify") == 0 and "keys of people were not at hand" in capsys.readouterr().out


def test_a_note_is_signed_and_an_edited_one_is_not_believed(office: Office) -> None:
    """Whoever may write into the archive must not be able to put words into somebody's mouth."""
    archive = office.changes.archive
    signer = keys.own()
    assert signer
    note = Notes(archive).add("run-1", "ada", "the load test was ours", signer)
    deeds.noted(archive, note)
    assert Notes(archive).of("run-1") == (note,) and note.signed_by == signer.fingerprint
    assert kinds(archive) == ["annotation"] and named(archive) == set()
    note.path.write_text(note.path.read_text().replace("ours", "theirs"))
    (read,) = Notes(archive).of("run-1")
    assert (read.signed_by, read.text) == ("", "the load test was theirs")
    assert "altered since" in read.doubt
    assert named(archive) == {"note-edited"}


def test_the_schedule_is_told_once_and_again_when_it_has_changed(project: Project) -> None:
    """Whoever lists it or ticks it tells it; what is the same is not told twice."""
    for _ in range(2):
        assert command("schedule", "list", "--json") == 0
    assert kinds(project.archive) == ["schedule.changed"]
    assert planning.unlike(project.archive, config.load_schedule()) == ""
    project.schedule(SLOTS.replace("hourly", "on-the-hour"))
    assert "not the one that the log knows since" in planning.unlike(project.archive, config.load_schedule())
    assert command("schedule", "list", "--json") == 0
    first, second = (vars(event)["slots"] for event in told(project.archive))
    assert (first[0].name, second[0].name) == ("schedule:hourly", "schedule:on-the-hour")
    assert first[0].cron == "0 * * * *" and named(project.archive) == set()


def test_a_project_without_a_schedule_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at a list must not begin a log."""
    made = build(tmp_path, monkeypatch)
    assert command("schedule", "list", "--json") == 0
    assert not (made.archive / "log").exists()


def test_a_moment_that_passes_without_a_run_is_told_once_with_the_reason(project: Project) -> None:
    """Each tick says again what was missed; the log holds it once."""
    (slot,) = config.load_schedule()
    noon = ids.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    missed = tuple(Due(slot, noon + timedelta(hours=n), "missed") for n in range(3))
    for count in (2, 3, 3):
        planning.skipped(project.archive, Ticked((), missed[:count], ()))
    events = told(project.archive)
    assert [vars(event)["scheduled_for"] for event in events] == [due.scheduled_for for due in missed]
    assert "only the latest that was missed is run" in vars(events[0])["reason"]


def test_a_run_of_the_schedule_fills_its_moment(project: Project) -> None:
    """And one of another procedure, under its name, does not."""
    (slot,) = config.load_schedule()
    moment = ids.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    planned = ScheduleChanged(time=moment - timedelta(minutes=90), slots=planning._planned([slot]))
    notary.log_of(project.archive).append(planned)
    scheduled.start(slot, moment, project.archive)
    other = slot.model_copy(update={"procedure": "needs-database"})
    scheduled.start(other, moment - timedelta(hours=1), project.archive)
    period = Scope(moment - timedelta(minutes=90), moment + timedelta(minutes=30), moments=planning.between)
    report = verify_archive(project.archive, notary.own_trust(project.archive), period)
    assert [one.state for one in report.slots] == ["missing", "run"]


def test_a_period_has_its_first_moment_and_not_its_last(project: Project) -> None:
    """Two schedules, one after the other, must not both expect the moment between them."""
    begin = ids.now().replace(minute=0, second=0, microsecond=0)
    planning.seen(project.archive, config.load_schedule())
    (hourly,) = vars(told(project.archive)[0])["slots"]
    found = list(planning.between(hourly, begin, begin + timedelta(hours=2)))
    assert found == [begin + timedelta(hours=1), begin]


def test_verify_complete_follows_the_schedule_in_the_log(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Today's file cannot make a moment go away; that it is another one is said."""
    archive = project.archive
    planning.seen(archive, config.load_schedule())
    begin = told(archive)[0].time.isoformat()
    project.schedule("slots: []")
    assert command("verify", "--complete", begin, "now") == 0
    assert "parameters/schedule.yml is not the one" in capsys.readouterr().out
    assert command("verify", "--complete", "2026-01-01", "now") == 3
    assert "could not be looked at: the log knows the schedule from" in capsys.readouterr().out


def test_what_is_remembered_of_a_log_is_only_a_shortcut(project: Project) -> None:
    """Damaged, or of another log than is there now, it is made again from the log."""
    slots = config.load_schedule()
    planning.seen(project.archive, slots)
    whole = known.known(project.archive / "log")
    (place,) = (project.home / "known").iterdir()
    longer = json.dumps({**json.loads(place.read_bytes()), "size": 9}).encode()
    for damage in (b"{", b"[]", b'{"version": 1}', longer):
        place.write_bytes(damage)
        assert known.known(project.archive / "log") == whole
    planning.seen(project.archive, slots)
    assert kinds(project.archive) == ["schedule.changed"]


def test_a_log_that_others_keep_locked_is_told_once(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was to be logged; with whom to look for, and what it means."""
    monkeypatch.setattr("opslib.evidence.log._WAIT_SECONDS", 0)
    monkeypatch.setattr("opslib.evidence.log._ASK_SECONDS", 0)
    archive = office.changes.archive
    notary.started(archive, "run-1")
    with FileLock(archive / "log" / ".lock"):
        for number in range(3):
            notary.started(archive, f"run-{number}")
        with notary.complaining("a note is not in the log"):
            notary.log_of(archive).append(*told(archive))
    (line,) = caplog.messages
    assert "end it if it hangs" in line and "`opslib verify` will name these records" in line
    assert kinds(archive) == ["run.started"]


def test_a_log_that_cannot_be_written_keeps_nobody_from_approving(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """In the night it is the change that counts; what the log lacks is said, and seen later."""
    plan = office.plan(draft(target("cup", "1", "2")), "staging")
    log = office.changes.archive / "log"
    log.mkdir(parents=True)
    (log / "checkpoint").write_text("nonsense\n")
    assert command("approve", plan.short, "--reason", "checkout hangs", "--json") == 0
    assert "an approval is not in the log" in caplog.text
