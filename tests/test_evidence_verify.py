"""Verifying beyond attacks: periods, holds and disposals, witnesses, records alone, keys from files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opslib.errors import ArchiveError, ConfigError
from opslib.evidence import (
    Kind,
    Report,
    Scope,
    Slot,
    load_trust,
    sign_statement,
    trust,
    verify_archive,
    verify_record,
)
from opslib.evidence.alone import NO_WITNESS
from opslib.evidence.envelopes import Envelope
from opslib.evidence.events import (
    Disposal,
    Hold,
    RunFinished,
    RunRequested,
    RunStarted,
    Subject,
    decode_event,
)
from opslib.evidence.notes import Note
from opslib.evidence.rotations import NO_ROTATIONS
from opslib.evidence.sealing import finished, seal, write_proof
from opslib.evidence.signing import rotation
from opslib.evidence.tiles import tile_path
from opslib.evidence.verifying import NO_EARLIER, NO_SCHEDULE
from tests.attacks import flip, swap
from tests.evidencing import BEGAN, SLOT, Kept, Witness, audit, key, later


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with three runs."""
    kept = Kept(tmp_path / "archive")
    for number in range(3):
        kept.run(number)
    return kept


def verified(kept: Kept, policy: str = "", **more: object) -> Report:
    """Return what was found in an archive."""
    return verify_archive(kept.archive, kept.trusted(policy), audit(**more))


def kinds(report: Report) -> list[Kind]:
    """Return the kinds of all findings."""
    return [finding.kind for finding in report.findings]


def notebook(kept: Kept, number: int) -> Path:
    """Return the notebook of a run."""
    return kept.folder(number) / "run.ipynb"


def disposal(kept: Kept, number: int) -> Disposal:
    """Return the event of a notebook's lawful end."""
    digest = hashlib.sha256(notebook(kept, number).read_bytes()).hexdigest()
    gone = (Subject("run.ipynb", digest),)
    return Disposal(time=later(9), run=f"run-{number:04d}", policy="seven years", subjects=gone)


def test_what_was_not_given_is_named_as_not_proven(kept: Kept) -> None:
    """No witness, no earlier head, no schedule: each takes something from what is shown."""
    assert verified(kept).unproven == (NO_WITNESS, NO_EARLIER, NO_SCHEDULE)
    note = kept.log.head()
    assert note
    assert verified(kept, slots=(), checkpoints=(note.encode(),)).unproven == (NO_WITNESS,)


def test_leaves_that_no_witness_has_seen_yet_are_counted(kept: Kept) -> None:
    """What came since can still be taken back unseen."""
    kept.cosign(later(2.5))
    assert not any("leaves" in text for text in verified(kept, kept.watched).unproven)
    kept.run(3)
    told = [text for text in verified(kept, kept.watched).unproven if "leaves 9 to 11" in text]
    assert len(told) == 1 and "2026-11-21 05:30:00 UTC" in told[0]


def test_a_policy_that_asks_for_witnesses_is_not_met_without(kept: Kept) -> None:
    """A record cosigned by too few, or by a stranger, is not sound for this auditor."""
    assert verified(kept, kept.watched).named() == {"unwitnessed"}
    assert verify_record(kept.folder(1), kept.trusted(kept.watched), audit()).named() == {"unwitnessed"}
    kept.witness = Witness("witness.example/w1", kept.signer.verifier, own=key(55))
    note = Note.parse(kept.cosign(later(2.5)))
    write_proof(kept.folder(1), kept.log.proof(5, note=note))
    honest = Kept(kept.archive)
    assert verified(honest, honest.watched).named() == {"unwitnessed"}
    assert verify_record(kept.folder(1), honest.trusted(honest.watched), audit()).named() == {"unwitnessed"}


def test_a_cosigned_proof_needs_nothing_else(kept: Kept) -> None:
    """Not even the log: whoever holds its keys cannot take the record back any more."""
    note = Note.parse(kept.cosign(later(2.5)))
    write_proof(kept.folder(1), kept.log.proof(5, note=note))
    report = verify_record(kept.folder(1), kept.trusted(kept.watched), audit())
    assert report.sound and NO_WITNESS not in report.unproven


def test_a_forged_cosignature_is_no_cosignature(kept: Kept) -> None:
    """Neither in the archive nor handed over."""
    seen = kept.cosign(later(2.5))
    other = Note.parse(seen)
    forged = Note(other.text, (other.signatures[0], replace(other.signatures[1], content=bytes(72)))).encode()
    assert "proof-edited" in verified(kept, kept.watched, checkpoints=(forged,)).named()
    (next((kept.archive / "log" / "cosigned").iterdir())).write_bytes(forged)
    assert verified(kept, kept.watched).named() == {"proof-edited", "unwitnessed"}


def test_a_checkpoint_that_nobody_signed_is_not_believed(kept: Kept) -> None:
    """Else anybody could have a sound log look forked."""
    stranger = Kept(kept.archive.parent / "other", seed=80)
    stranger.run(0)
    note = stranger.log.head()
    assert note and verified(kept, checkpoints=(note.encode(),)).named() == {"proof-edited"}
    assert verified(kept, checkpoints=(b"damaged",)).named() == {"proof-edited"}


def test_a_log_that_forks_behind_its_witness_is_refused_by_it(kept: Kept) -> None:
    """The witness asks for a consistency proof, which a rewritten log cannot give."""
    kept.cosign(later(2.5))
    rewritten = Kept(kept.archive.parent / "rewritten")
    for number in (0, 2, 3, 4):
        rewritten.run(number)
    rewritten.witness = kept.witness
    with pytest.raises(AssertionError, match="history is another"):
        rewritten.cosign(later(5))


def test_only_what_lies_in_a_period_is_looked_at(kept: Kept) -> None:
    """A quarter's audit does not name the faults of another, but always those of the log itself."""
    flip(notebook(kept, 0), 3)
    flip(notebook(kept, 2), 3)
    report = verified(kept, since=later(1), until=later(2))
    assert report.sound and report.records == 1
    assert [finding.subject for finding in verified(kept, since=later(1)).findings] == ["run-0002"]
    assert kinds(verified(kept, until=later(2))) == [Kind.NOTEBOOK_EDITED]
    flip(kept.archive / "log" / "tile" / "0" / "000.p" / "9")
    assert "log-edited" in verified(kept, since=later(1), until=later(2)).named()


def test_a_slot_counts_in_its_period_only_and_by_its_own_name(kept: Kept) -> None:
    """The run of another entry at the same moment does not fill it."""
    due = (Slot(SLOT, later(1)), Slot("weekly", later(1)), Slot(SLOT, later(9)))
    missing = [finding.subject for finding in verified(kept, slots=due).findings]
    assert missing == ["weekly", SLOT]
    assert [one.text for one in verified(kept, slots=due, until=later(8)).findings] == [
        "the run that was due at 2026-11-21 04:00:00 UTC was never recorded"
    ]


def test_a_run_that_may_still_be_running_is_no_fault(kept: Kept) -> None:
    """Only what had the time to end has to have ended."""
    kept.log.append(RunRequested(time=later(5), run="now"), RunStarted(time=later(5), run="now"))
    soon, late = later(6), later(5) + timedelta(days=1, minutes=1)
    assert (verified(kept, now=soon).sound, kinds(verified(kept, now=soon))) == (True, [Kind.RUNNING])
    assert kinds(verified(kept, now=late)) == [Kind.UNFINISHED]


def test_a_record_that_waits_to_be_sealed_is_not_called_forged(kept: Kept) -> None:
    """Its writer may have been killed between the record and the log; the open run says so."""
    kept.log.append(RunRequested(time=later(5), run="half"), RunStarted(time=later(5), run="half"))
    folder = kept.publish("half", later(5))
    assert verified(kept).named() == {"unfinished"}
    kept.seal(folder, later(7))
    assert verified(kept).sound


def test_sealing_again_what_was_sealed_is_harmless(kept: Kept) -> None:
    """A sweep that did not know does it once more, with the same files."""
    event = finished((kept.folder(1) / "run.dsse.json").read_bytes(), later(4))
    seal(kept.log, kept.folder(1), replace(event, subjects=sealed_subjects(kept)))
    report = verified(kept)
    assert report.sound and report.records == 4


def sealed_subjects(kept: Kept) -> tuple[Subject, ...]:
    """Return the subjects of the second run as they were sealed."""
    event = decode_event(kept.log.leaf(5))
    assert isinstance(event, RunFinished)
    return event.subjects


def test_what_was_destroyed_as_a_rule_demands_is_told_and_no_fault(kept: Kept) -> None:
    """The log stays whole, as it never held the content."""
    kept.log.append(disposal(kept, 1))
    notebook(kept, 1).unlink()
    report = verified(kept)
    assert report.sound and kinds(report) == [Kind.DISPOSED]
    notebook(kept, 2).unlink()
    assert verified(kept).named() == {"deleted"}


def test_a_hold_that_was_lifted_holds_no_more(kept: Kept) -> None:
    """Set, then cleared, then destroyed."""
    for state in ("set", "cleared"):
        kept.log.append(Hold(time=later(8), run="run-0001", state=state))
    kept.log.append(disposal(kept, 1))
    notebook(kept, 1).unlink()
    assert kinds(verified(kept)) == [Kind.DISPOSED]


def test_a_file_that_was_said_to_be_destroyed_and_is_there_altered_is_named(kept: Kept) -> None:
    """A disposal is no leave to edit."""
    kept.log.append(disposal(kept, 1))
    flip(notebook(kept, 1), 3)
    assert verified(kept).named() == {"notebook-edited"}


def test_a_leaf_of_a_kind_that_is_not_known_is_not_passed_over(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be anything; what could not be looked at is not sound."""
    monkeypatch.setattr("opslib.evidence.log.encode_event", lambda event: b'{"type":"run.vanished"}')
    kept.log.append(Hold(time=later(8), run="x", state="set"))
    assert verified(kept).named() == {"not-understood"}


def test_a_link_to_another_file_is_seen_by_its_content(kept: Kept) -> None:
    """What counts is the digest."""
    notebook(kept, 1).unlink()
    notebook(kept, 1).symlink_to(notebook(kept, 2))
    assert verified(kept).named() == {"swapped"}


def test_a_second_copy_of_a_record_elsewhere_is_forged(kept: Kept) -> None:
    """The log says on which day a record lies."""
    folder = kept.archive / "runs" / "2026" / "11" / "22"
    folder.mkdir()
    kept.folder(1).rename(folder / "run-0001")
    assert verified(kept).named() == {"forged", "deleted"}


@pytest.mark.parametrize("name", ["run.json", "files/approval.html", "disposed.json"])
def test_a_file_that_was_put_into_a_record_is_forged(name: str, kept: Kept) -> None:
    """Whoever opens the folder would take it for what was sealed."""
    (kept.folder(1) / name).parent.mkdir(exist_ok=True)
    (kept.folder(1) / name).write_text("as if it had been there")
    report = verified(kept)
    assert report.named() == {"forged"} and name in report.findings[0].text


def test_the_whole_record_of_another_run_is_not_taken_for_that_of_this_one(kept: Kept) -> None:
    """Everything in it is sound, but for whose it is."""
    other = kept.folder(1).with_name("01a1ffa8-3963-70c7-8871-9020ae849070")
    shutil.copytree(kept.folder(1), other)
    report = verify_record(other, kept.trusted(), audit())
    assert report.named() == {"swapped"} and "run-0001" in report.findings[0].text
    shutil.rmtree(kept.folder(2))
    shutil.copytree(kept.folder(1), kept.folder(2))
    assert "swapped" in verified(kept).named()


def test_an_event_that_witnesses_saw_late_is_told(kept: Kept) -> None:
    """Until then it could have been made up."""
    kept.cosign(later(72))
    report = verified(kept, kept.watched)
    assert report.sound and set(kinds(report)) == {Kind.WITNESSED_LATE}


def test_an_event_from_after_its_own_cosignature_is_post_dated(kept: Kept) -> None:
    """A witness had seen it before it says that it was."""
    seen = Note.parse(kept.cosign(BEGAN))
    assert verified(kept, kept.watched).named() == {"post-dated"}
    write_proof(kept.folder(2), kept.log.proof(8, note=seen))
    assert verify_record(kept.folder(2), kept.trusted(kept.watched), audit()).named() == {"post-dated"}


RECORD_ATTACKS: dict[str, tuple[Callable[[Kept], object], str]] = {
    "no proof": (lambda kept: (kept.folder(1) / "run.tlog-proof").unlink(), "deleted"),
    "no record": (lambda kept: (kept.folder(1) / "run.dsse.json").unlink(), "deleted"),
    "no notebook": (lambda kept: notebook(kept, 1).unlink(), "deleted"),
    "edited record": (lambda kept: flip(kept.folder(1) / "run.dsse.json"), "record-edited"),
    "edited page": (lambda kept: flip(kept.folder(1) / "run.html", 1), "file-edited"),
    "another's record": (
        lambda kept: swap(kept.folder(1) / "run.dsse.json", kept.folder(2) / "run.dsse.json"),
        "swapped",
    ),
    "the proof of its beginning": (
        lambda kept: write_proof(kept.folder(1), kept.log.proof(3)),
        "swapped",
    ),
}


@pytest.mark.parametrize(("act", "name"), RECORD_ATTACKS.values(), ids=RECORD_ATTACKS.keys())
def test_an_attack_on_a_record_alone_is_named(act: Callable[[Kept], object], name: str, kept: Kept) -> None:
    """From its own folder, without the log."""
    act(kept)
    assert verify_record(kept.folder(1), kept.trusted(), audit()).named() == {name}


def test_a_record_of_a_log_with_other_keys_is_rebuilt_and_forged(kept: Kept) -> None:
    """Whole in itself, and nothing that this auditor believes."""
    other = Kept(kept.archive.parent / "other", seed=80)
    other.run(1)
    assert verify_record(other.folder(1), kept.trusted(), audit()).named() == {"rebuilt", "forged"}


def test_a_record_that_a_retired_key_signed_is_named_where_the_log_is_at_hand(kept: Kept) -> None:
    """Also to whoever believes the old key, because it has signed earlier records."""
    kept.log.append(rotation(later(3), "runner", kept.runner, key(7)))
    known = trust(kept.policy, [kept.runner.public.line, key(7).public.line])
    assert verify_record(kept.run(4), known, audit()).named() == {"retired-key"}
    assert verify_record(kept.folder(1), known, audit()).sound


def test_one_record_is_verified_without_reading_the_whole_log(kept: Kept) -> None:
    """A list leads to the leaf that retires its key; where somebody took the list away, all is read."""
    kept.log.append(rotation(later(3), "runner", kept.runner, key(7)))
    kept.log.append(*(RunRequested(time=later(3), run=f"more-{number}") for number in range(600)))
    known = trust(kept.policy, [kept.runner.public.line, key(7).public.line])
    folder = kept.run(4)
    (kept.archive / "log" / tile_path("entries", 1, 256)).unlink()
    assert verify_record(folder, known, audit()).named() == {"retired-key"}
    (kept.archive / "log" / "rotations").unlink()
    (kept.archive / "log" / tile_path("entries", 0, 256)).unlink()
    report = verify_record(folder, known, audit())
    assert report.sound and any("whether a key had been retired" in text for text in report.unproven)


def test_a_log_without_a_list_of_rotations_is_read_whole(kept: Kept) -> None:
    """One that was fetched, or whose list somebody took away or spoilt."""
    kept.log.append(rotation(later(3), "runner", kept.runner, key(7)))
    known = trust(kept.policy, [kept.runner.public.line, key(7).public.line])
    folder, listed = kept.run(4), kept.archive / "log" / "rotations"
    for spoilt in (b"", b"nothing", NO_ROTATIONS + b"many\n", NO_ROTATIONS + b"\xff\n"):
        listed.write_bytes(spoilt)
        assert verify_record(folder, known, audit()).named() == {"retired-key"}
    listed.unlink()
    assert verify_record(folder, known, audit()).named() == {"retired-key"}


def test_two_heads_of_one_size_show_a_fork_without_the_log(kept: Kept) -> None:
    """One from the record, one that the auditor has from elsewhere."""
    other = Kept(kept.archive.parent / "other")
    other.run(0)
    other.run(1, verdict="critical")
    note = other.log.head()
    assert note
    scope = Scope(checkpoints=(note.encode(), b"damaged"))
    assert verify_record(kept.folder(1), kept.trusted(), scope).named() == {"forked", "proof-edited"}


def test_keys_are_read_from_files_and_faults_in_them_named(kept: Kept) -> None:
    """With the file, the line and where to get another."""
    kept.write_keys()
    policy, keys = kept.archive / "policy", kept.archive / "runner-keys"
    assert verify_archive(kept.archive, load_trust(policy, keys), audit()).sound
    policy.write_text("quorum nobody\n")
    with pytest.raises(
        ConfigError, match=r"policy: line 1 of the policy: there is no nobody above"
    ) as raised:
        load_trust(policy, keys)
    assert "by another way" in raised.value.hint
    kept.write_keys()
    keys.write_text("\nssh-rsa AAAA\n")
    with pytest.raises(ConfigError, match=r"runner-keys: line 2 "):
        load_trust(policy, keys)
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        load_trust(policy, kept.archive / "missing")


def test_what_is_sealed_is_there_before_anybody_is_told(kept: Kept) -> None:
    """The proof beside a record that was just sealed leads to a head that is on the disk."""
    kept.run(3)
    note = kept.log.head()
    assert note and note.encode() == (kept.archive / "log" / "checkpoint").read_bytes()
    assert kept.log.proof(11).encode() == (kept.folder(3) / "run.tlog-proof").read_bytes()


def test_a_record_whose_folder_is_gone_cannot_be_sealed(kept: Kept) -> None:
    """In words that name the place."""
    event = finished((kept.folder(1) / "run.dsse.json").read_bytes(), later(4))
    with pytest.raises(ArchiveError, match="nowhere"):
        seal(kept.log, kept.archive / "nowhere", event)


HOSTILE: dict[str, Callable[[Kept], object]] = {
    "a pipe for the head": lambda kept: piped(kept.archive / "log" / "checkpoint"),
    "a pipe for a notebook": lambda kept: piped(notebook(kept, 1)),
    "a pipe for a proof": lambda kept: piped(kept.folder(1) / "run.tlog-proof"),
    "a folder for a page": lambda kept: foldered(kept.folder(1) / "run.html"),
    "a folder for leaves": lambda kept: foldered(kept.archive / "log" / "tile" / "entries" / "000.p" / "9"),
    "a folder for a cosignature": lambda kept: (kept.archive / "log" / "cosigned" / "1").mkdir(parents=True),
    "half a letter": lambda kept: stated(kept, name="\ud800"),
    "a name that is a number": lambda kept: stated(kept, name=1),
    "a path out of the record": lambda kept: stated(kept, name="../../../../../../etc/passwd"),
    "a time that is a number": lambda kept: stated(kept, startedOn=1),
    "a time that is none": lambda kept: stated(kept, finishedOn="soon"),
    "no predicate": lambda kept: stated(kept, predicate=None),
    "a sequence for the terminal": lambda kept: stated(kept, verdict="\x1b[2Jok\u202e"),
}


def piped(path: Path) -> None:
    """Put a pipe that nobody writes to in the place of a file."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def foldered(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    path.mkdir()


def stated(kept: Kept, **parts: object) -> None:
    """Log a record, signed with the runner's stolen key, that states something impossible."""
    honest = kept.publish("odd", later(4))
    document = json.loads(Envelope.parse((honest / "run.dsse.json").read_bytes()).payload)
    told = document["predicate"]
    if "name" in parts:
        document["subject"][0]["name"] = parts["name"]
    told["verdict"] = parts.get("verdict", "ok")
    told["runDetails"]["metadata"].update({key: value for key, value in parts.items() if key.endswith("On")})
    document["predicate"] = parts.get("predicate", told)
    content = sign_statement(json.dumps(document).encode(), kept.runner)
    (honest / "run.dsse.json").write_bytes(content)
    whole = Subject("run.dsse.json", hashlib.sha256(content).hexdigest())
    end = RunFinished(time=later(5), run="odd", verdict="ok", started=later(4), subjects=(whole,))
    kept.log.append(RunRequested(time=later(4), run="odd"), end)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("act", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_lies_in_an_archive_a_verification_ends_and_says_something(
    act: Callable[[Kept], object], kept: Kept
) -> None:
    """A finding, in letters that a terminal can show: no crash, no waiting, no trick."""
    act(kept)
    report = verified(kept)
    told = json.dumps(report.to_dict(), ensure_ascii=False)
    assert told.encode() and told.isprintable()
    assert not report.sound or not (kept.folder(1) / "run.tlog-proof").is_file()
    verify_record(kept.folder(1), kept.trusted(), audit())


def test_a_clock_that_ran_ahead_does_not_taint_what_came_after(kept: Kept) -> None:
    """Where a witness shows which of the two clocks was wrong."""
    kept.run(3, at=later(30))
    kept.cosign(later(3.5))
    kept.run(4)
    kept.cosign(later(4.5))
    report = verified(kept, kept.watched)
    assert report.named() == {"post-dated"}
    assert {finding.subject for finding in report.findings} == {"run-0003"}
