"""What was loaded, to notice that it has changed on the disk since.

A plain kernel imports what is there now. So before each fork all files that the zygote has loaded are
looked at, which takes some milliseconds; so are the folders in which they were found, where a new file
or package would be found first, and where packages come and go.
"""

from __future__ import annotations

import hashlib
import os
import stat as modes
import sys
import zlib
from collections.abc import Iterator, Mapping
from importlib.machinery import all_suffixes
from pathlib import Path

# A file of this age when the loading began may have been written after it was read: clocks tick in steps.
_TICK_NS = 10_000_000
_TELLING = (*all_suffixes(), ".pth")

Stamp = tuple[int, int] | None


def taken(since_ns: int) -> dict[str, Stamp]:
    """Return the stamp of every loaded file, and of the folders where modules are looked for, by path.

    Args:
        since_ns: when the loading began, as `time.time_ns` tells. A file that was written after that is
            stamped None, which never equals what is found later: it may have been loaded before.
    """
    files = {path: _sure(stamp(path), since_ns) for path in sorted(set(_files()))}
    return {**files, **{path: stamp(path) for path in sorted(set(_folders()))}}


def changed(stamps: Mapping[str, Stamp]) -> str:
    """Return the first path that is no longer as it was when it was loaded; "" when all are."""
    return next((path for path, known in stamps.items() if not _same(path, known)), "")


def digest(stamps: Mapping[str, Stamp]) -> str:
    """Return a short name for exactly these files in this state."""
    return hashlib.sha256(repr(sorted(stamps.items())).encode()).hexdigest()[:16]


def stamp(path: str) -> tuple[int, int]:
    """Return time and size of a file, time and names of a folder; zeros when nothing is there."""
    found = _stat(path)
    if found is None:
        return (0, 0)
    return (found.st_mtime_ns, _names(path) if modes.S_ISDIR(found.st_mode) else found.st_size)


def inode(path: Path) -> int:
    """Return which file is at a path; 0 when there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _same(path: str, known: Stamp) -> bool:
    found = _stat(path)
    if known is None or found is None:
        return known == (0, 0) and found is None
    if not modes.S_ISDIR(found.st_mode):
        return (found.st_mtime_ns, found.st_size) == known
    # Caches are written into folders all the time: the names decide, and are only read when they may differ.
    return found.st_mtime_ns == known[0] or _names(path) == known[1]


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - of a thousand files before each fork, and a Path takes longer
    except OSError:
        return None


def _names(folder: str) -> int:
    """Return a number for what can be imported from a folder."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _tells(entry))
    except OSError:
        return 0
    return zlib.crc32("/".join(names).encode("utf-8", "surrogateescape"))


def _tells(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(_TELLING) or (entry.name != "__pycache__" and entry.is_dir())


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
        yield from map(str, Path(entry).glob("*.pth"))
    yield from _settings()


def _settings() -> Iterator[str]:
    """Yield what was read besides modules: our limits, matplotlib's settings where they are or would be."""
    limits = sys.modules.get("opslib.config.limits")
    if limits:
        yield str(limits.DEFAULTS_FILE)
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib:
        yield str(matplotlib.matplotlib_fname())
        yield str(Path(matplotlib.get_configdir()) / "matplotlibrc")


def _folders() -> Iterator[str]:
    yield from sys.path
    for module in list(sys.modules.values()):
        # Some modules answer to any name.
        places = getattr(module, "__dict__", {}).get("__path__") or ()
        yield from (place for place in places if isinstance(place, str))
