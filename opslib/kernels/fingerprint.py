"""What was loaded, to notice that it has changed on the disk since.

A plain kernel imports what is there now. So before each fork all files that the zygote has loaded are
looked at, which takes some milliseconds; so are the places where packages come and go.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# A file of this age when the loading began may have been written after it was read: clocks tick in steps.
_TICK_NS = 10_000_000

Stamp = tuple[int, int] | None


def taken(since_ns: int) -> dict[str, Stamp]:
    """Return time and size of every loaded file, by path.

    Args:
        since_ns: when the loading began, as `time.time_ns` tells. A file that was written after that is
            stamped None, which never equals what is found later: it may have been loaded before.
    """
    return {path: _sure(stamp(path), since_ns) for path in sorted(set(_files()))}


def changed(stamps: Mapping[str, Stamp]) -> str:
    """Return the first file that is no longer as it was when it was loaded; "" when all are."""
    return next((path for path, known in stamps.items() if known is None or stamp(path) != known), "")


def digest(stamps: Mapping[str, Stamp]) -> str:
    """Return a short name for exactly these files in this state."""
    return hashlib.sha256(repr(sorted(stamps.items())).encode()).hexdigest()[:16]


def stamp(path: str) -> tuple[int, int]:
    """Return time and size of a file; zeros when it is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def inode(path: Path) -> int:
    """Return which file is at a path; 0 when there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _sure(found: tuple[int, int], since_ns: int) -> Stamp:
    return None if found[0] > since_ns - _TICK_NS else found


def _files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            yield path
    yield sys.executable
    yield str(Path(sys.prefix) / "pyvenv.cfg")
    for entry in sys.path:
        if Path(entry).name in ("site-packages", "dist-packages"):
            yield entry
            yield from map(str, Path(entry).glob("*.pth"))
