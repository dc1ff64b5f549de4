"""What files are called, in an archive and in what is handed over of one."""

from __future__ import annotations

from pathlib import Path

LOG, RUNS = "log", "runs"  # folders of an archive
ENVELOPE, PROOF = "run.dsse.json", "run.tlog-proof"  # beside each record
MANIFEST, POPULATION, SLOTS = "export.dsse.json", "population.csv", "slots.json"  # of an export


def is_export(folder: Path) -> bool:
    """Say whether a folder was handed over to an auditor."""
    return (folder / MANIFEST).exists() or (folder / POPULATION).exists()
