"""The attacks on an archive again, with a real witness over HTTP: it refuses, or what it holds names them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from opslib import ids
from opslib.config import Witnesses
from opslib.errors import ArchiveError
from opslib.evidence import Report, verify_archive, verify_record
from opslib.evidence.witnesses import read_all, standing
from opslib.evidence.witnesses.service import Service
from opslib.verdict import Status
from tests.attacks import ATTACKS, RUNS, Attack, scope
from tests.evidencing import ORIGIN, Kept, later
from tests.witnessing import asked, cosigner, seen, service, serving

CUT_OR_REWRITTEN = {"truncated", "forked"}


@dataclass(frozen=True)
class Honest:
    """An archive before anybody touches it.

    Args:
        whole: its folder.
        before: the same, as it was after three runs.
        memory: of the witness, which has cosigned all of it.
    """

    whole: Path
    before: Path
    memory: Path


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honest]:
    """An archive of some runs that a witness has looked at twice."""
    folder = tmp_path_factory.mktemp("honest")
    kept = Kept(folder / "archive")
    witness = service(folder / "memory", kept)
    with serving(witness) as url, pytest.MonkeyPatch.context() as patch:
        for number in range(RUNS):
            if number == 3:
                patch.setattr(ids, "now", lambda: later(2.5))
                assert [one.status for one in asked(kept, cosigner(url, witness))] == [Status.OK]
                shutil.copytree(kept.archive, folder / "before")
            kept.run(number)
        patch.setattr(ids, "now", lambda: later(RUNS - 0.5))
        assert [one.status for one in asked(kept, cosigner(url, witness))] == [Status.OK]
    yield Honest(kept.archive, folder / "before", folder / "memory")


@pytest.fixture
def kept(honest: Honest, tmp_path: Path) -> Kept:
    """A copy of it to be tampered with."""
    shutil.copytree(honest.whole, tmp_path / "archive")
    return Kept(tmp_path / "archive")


@pytest.fixture
def witness(honest: Honest, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The same witness, an hour later."""
    shutil.copytree(honest.memory, tmp_path / "memory")
    monkeypatch.setattr(ids, "now", lambda: later(RUNS + 1))
    return service(tmp_path / "memory", kept)


def verified(kept: Kept, heads: tuple[bytes, ...] = ()) -> Report:
    """Return what an auditor finds who trusts the log's key and the witness's."""
    owner = Kept(kept.archive)
    return verify_archive(owner.archive, owner.trusted(owner.watched), scope(checkpoints=heads))


def held(kept: Kept, url: str, witness: Service) -> tuple[bytes, ...]:
    """Return what the witness shows of the log."""
    found = read_all(kept.log, Witnesses(witnesses=(cosigner(url, witness),)))
    assert not found[0].fault
    return tuple(one.note.encode() for one in found if one.note)


def test_an_honest_archive_is_sound_and_every_record_stands_alone(kept: Kept, witness: Service) -> None:
    """The proofs of records that were sealed before got the cosignatures."""
    report = verified(kept)
    assert report.sound and not report.findings
    for number in range(RUNS):
        alone = verify_record(kept.folder(number), kept.trusted(kept.watched), scope())
        assert alone.sound and not alone.findings, alone.findings
    with serving(witness) as url:
        assert verified(kept, held(kept, url, witness)).named() == set()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_by_the_witness_or_named_by_what_it_holds(
    attack: Attack, kept: Kept, honest: Honest, witness: Service
) -> None:
    """A log that was cut or rewritten gets no signature; anything else is named as without the network."""
    attack.act(kept, honest.before)
    owner = Kept(kept.archive)
    with serving(witness) as url:
        try:
            (said,) = asked(owner, cosigner(url, witness))
            refused = said.status is Status.CRITICAL
        except ArchiveError:
            refused = True  # this log is not even one that its owner could have signed
        report = verified(kept, held(kept, url, witness))
    if attack.watched & CUT_OR_REWRITTEN:
        assert refused and seen(witness) == {ORIGIN: RUNS * 3}
    assert report.named() >= attack.alone | attack.watched, report.findings
    assert not report.sound


@pytest.mark.parametrize("name", [name for name, one in ATTACKS.items() if one.watched == {"truncated"}])
def test_once_the_witness_was_asked_the_archive_itself_shows_what_was_cut(
    name: str, kept: Kept, honest: Honest, witness: Service
) -> None:
    """What it holds is kept beside the log, so that the next verification needs no network."""
    ATTACKS[name].act(kept, honest.before)
    with serving(witness) as url:
        try:
            asked(Kept(kept.archive), cosigner(url, witness))
        except ArchiveError:
            return  # a log that is none of ours takes nothing in
    assert "truncated" in verified(kept).named()


def test_a_fork_that_was_asked_for_is_kept_beside_the_log(
    kept: Kept, honest: Honest, witness: Service
) -> None:
    """Both heads of one size lie there, each signed by the log."""
    ATTACKS["better a verdict with stolen keys"].act(kept, honest.before)
    with serving(witness) as url:
        (said,) = asked(Kept(kept.archive), cosigner(url, witness))
    assert said.text == f"holds {RUNS * 3} leaves which are not those of this log: it was rewritten"
    known = Witnesses(witnesses=(cosigner("http://127.0.0.1:9", witness),))
    assert standing(kept.archive / "log", known).held == {"w1": 0}
    assert "forked" in verified(kept).named()


def test_a_run_that_is_sealed_late_is_named(
    kept: Kept, witness: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clock of ours is asked: the witness says when it has seen it first."""
    kept.run(RUNS)
    monkeypatch.setattr(ids, "now", lambda: later(24 * 4))
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
    late = [one for one in verified(kept).findings if one.kind == "witnessed-late"]
    assert {one.subject for one in late} == {f"run-{RUNS:04d}"}
    alone = verify_record(kept.folder(RUNS), kept.trusted(kept.watched), scope())
    assert alone.sound and [one.kind for one in alone.findings] == ["witnessed-late"]


def test_leaves_that_no_witness_has_seen_for_days_are_a_fault(kept: Kept, witness: Service) -> None:
    """A policy that asks for witnesses is not met by those of the past."""
    kept.run(RUNS)
    assert verified(kept).named() == {"unwitnessed"}
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
    assert verified(kept).named() == set()


def test_a_log_of_which_nothing_is_left_is_not_taken_for_a_young_one(kept: Kept) -> None:
    """There is no leaf whose age would tell."""
    shutil.rmtree(kept.archive / "log")
    owner = Kept(kept.archive)
    patient = scope(patience=timedelta(days=2))
    assert verify_archive(owner.archive, owner.trusted(owner.watched), patient).named() >= {
        "truncated", "unwitnessed",
    }  # fmt: skip
