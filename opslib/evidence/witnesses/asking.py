"""Ask all witnesses of a log to hold its head, and give the proofs of records what they have signed.

No run waits for it and none fails by it: whoever cannot be asked now is asked the next time, and what came
in between is covered by the next head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from opslib.config import Witness, Witnesses
from opslib.errors import OpsError
from opslib.evidence.log import Log
from opslib.evidence.notes import Note
from opslib.evidence.plain import NotSound
from opslib.evidence.witnesses import cosigning, remotes, stamps, stores
from opslib.evidence.witnesses.completing import complete
from opslib.evidence.witnesses.known import Asked, Cosigner, cosigners
from opslib.evidence.witnesses.standing import standing
from opslib.verdict import Status

Result = TypeVar("Result")
_ASK: dict[str, Callable[[Witness, Log], Asked]] = {
    remotes.KIND: remotes.ask,
    stores.KIND: stores.ask,
    stamps.KIND: stamps.ask,
}
_HELD: dict[str, Callable[[Witness, Log], Note | None]] = {
    remotes.KIND: remotes.held,
    stores.KIND: stores.held,
}


@dataclass(frozen=True)
class Told:
    """What came of asking.

    Args:
        witnesses: of each, in the order of the file.
        completed: proofs of records that have got cosignatures.
    """

    witnesses: tuple[Asked, ...]
    completed: int = 0


@dataclass(frozen=True)
class Read:
    """What a witness shows of our log.

    Args:
        witness: its name.
        note: the head that it holds; None where it holds none, or could not be asked.
        fault: why it could not be asked.
    """

    witness: str
    note: Note | None
    fault: str = ""


def ask_all(archive: Path, log: Log, found: Witnesses) -> Told:
    """Ask every witness, all at once, each of them within its own deadline.

    Args:
        archive: the archive's folder.
        log: its log.
        found: who witnesses it.

    Raises:
        ConfigError: a key cannot be used.
        ArchiveError: the log is damaged, or what witnesses signed cannot be kept.
    """
    known = {one.name: one for one in cosigners(found)}
    held = standing(log.folder, found).held
    calls = [partial(_ask, one, known.get(one.name), log, held[one.name]) for one in found.witnesses]
    asked = tuple(_at_once(calls))
    return Told(asked, complete(archive, log, [one.key for one in known.values()], found.needed))


def read_all(log: Log, found: Witnesses) -> tuple[Read, ...]:
    """Have every witness show the head of our log that it holds; an authority for time holds none.

    Raises:
        ConfigError: a key cannot be used.
    """
    known = {one.name: one for one in cosigners(found)}
    holding = [one for one in found.witnesses if one.kind != stamps.KIND]
    calls = [partial(_read, one, known.get(one.name), log) for one in holding]
    return tuple(_at_once(calls))


def _ask(witness: Witness, cosigner: Cosigner | None, log: Log, old: int) -> Asked:
    if cosigner:
        return cosigning.ask(cosigner, log, old)
    return _ASK[witness.kind](witness, log)


def _read(witness: Witness, cosigner: Cosigner | None, log: Log) -> Read:
    try:
        note = cosigning.held(cosigner, log) if cosigner else _HELD[witness.kind](witness, log)
        return Read(witness.name, note)
    except (OpsError, NotSound) as error:
        return Read(witness.name, None, getattr(error, "message", str(error)))


def _at_once(calls: Sequence[Callable[[], Result]]) -> Iterator[Result]:
    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        yield from [one.result() for one in [pool.submit(call) for call in calls]]


def worst(asked: Sequence[Asked]) -> Status:
    """Return what asking came to: critical if anybody holds what our log does not continue."""
    return max((one.status for one in asked), key=lambda status: status.severity, default=Status.OK)
