"""Verify what has more than one record: an archive, or what was handed over of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from opslib.evidence.expected import SLOTS_INSIDE, read_slots
from opslib.evidence.exported import verify_export
from opslib.evidence.findings import Report, Scope
from opslib.evidence.layout import SLOTS, is_export
from opslib.evidence.proofs import Trust
from opslib.evidence.verifying import verify_archive


def verify_many(folder: Path, trust: Trust, scope: Scope) -> Report:
    """Verify an export, or else an archive with the moments that were due, if it names them.

    Args:
        folder: of the archive, or of what was unpacked.
        trust: whom to believe.
        scope: period, earlier checkpoints, limits.

    Raises:
        NotSound: the moments of an archive are not understood.
    """
    if is_export(folder):
        return verify_export(folder, trust, scope)
    slots = read_slots(folder / SLOTS)
    found = verify_archive(folder, trust, replace(scope, slots=slots))
    return found if slots is None else replace(found, unproven=(*found.unproven, SLOTS_INSIDE))
