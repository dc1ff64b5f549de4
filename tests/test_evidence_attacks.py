"""Each attack is called by its name; and what an archive alone cannot show is said."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from opslib.evidence import Report, verify_archive
from opslib.evidence.alone import NO_WITNESS
from tests.attacks import ATTACKS, RUNS, Attack, scope
from tests.evidencing import Kept, later


@dataclass(frozen=True)
class Honest:
    """An archive before anybody touches it.

    Args:
        whole: its folder.
        before: the same, as it was after three runs.
        seen: what the witness cosigned last.
    """

    whole: Path
    before: Path
    seen: bytes


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    """An archive of some runs that a witness has looked at twice."""
    folder = tmp_path_factory.mktemp("honest")
    kept = Kept(folder / "archive")
    for number in range(3):
        kept.run(number)
    kept.cosign(later(2.5))
    shutil.copytree(kept.archive, folder / "before")
    for number in range(3, RUNS):
        kept.run(number)
    return Honest(kept.archive, folder / "before", kept.cosign(later(RUNS - 0.5)))


@pytest.fixture
def kept(honest: Honest, tmp_path: Path) -> Kept:
    """A copy of it to be tampered with."""
    shutil.copytree(honest.whole, tmp_path / "archive")
    return Kept(tmp_path / "archive")


def alone(kept: Kept) -> Report:
    """Return what the archive itself shows, to somebody who has the keys and the schedule."""
    return verify_archive(kept.archive, Kept(kept.archive).trusted(), scope())


def watched(kept: Kept, honest: Honest) -> Report:
    """Return what it shows to somebody who also has what the witness cosigned last."""
    found = Kept(kept.archive)
    return verify_archive(kept.archive, found.trusted(found.watched), scope(checkpoints=(honest.seen,)))


def test_an_honest_archive_is_sound_with_and_without_a_witness(kept: Kept, honest: Honest) -> None:
    """Else nobody would look at findings any more."""
    for report in (alone(kept), watched(kept, honest)):
        assert report.sound and not report.findings
        assert (report.leaves, report.records) == (RUNS * 3, RUNS)
    assert watched(kept, honest).unproven == ()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_named(attack: Attack, kept: Kept, honest: Honest) -> None:
    """By the archive alone where that is possible, and in any case where a witness has seen the log."""
    attack.act(kept, honest.before)
    by_itself, with_witness = alone(kept), watched(kept, honest)
    assert by_itself.named() == attack.alone, by_itself.findings
    assert with_witness.named() >= attack.alone | attack.watched, with_witness.findings
    assert not with_witness.sound
    assert NO_WITNESS in by_itself.unproven
