"""A lock that nobody lets go of, and which process holds it, where the system tells."""

from __future__ import annotations

import os
from pathlib import Path

from opslib.errors import ArchiveError

_LOCKS = Path("/proc/locks")  # Linux has it; elsewhere `lsof` says the same


class Busy(ArchiveError):
    """Others keep a file locked.

    Args:
        lock: the file.
        seconds: for how long it was waited for.
    """

    def __init__(self, lock: Path, seconds: float) -> None:
        who = _holder(lock)
        hint = f"see what {who} does" if who else f"`lsof {lock}` says by whom"
        text = f"{lock} has been locked for {seconds:g} s{who and f' by {who}'}"
        super().__init__(text, hint=f"{hint}, and end it if it hangs")
        self.lock = lock


def _holder(path: Path) -> str:
    """Return which process holds the lock of a file, in words; "" where that is not known."""
    try:
        found = path.stat()
        file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        rows = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        return ""
    # Of one that waits, an arrow stands where the others have their kind.
    held = (row[4] for row in rows if row[1:2] == ["FLOCK"] and row[5:6] == [file])
    return next((f"process {pid}" for pid in held if pid.isdecimal()), "")
