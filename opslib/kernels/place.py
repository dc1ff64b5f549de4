"""Where the zygote of this user and this interpreter listens.

Kernels are the zygote's children, not those of whoever asks. So the place also depends on what a child
would have had from its parent and cannot be given later: groups, namespaces, limits of control groups.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opslib.home import private
from opslib.kernels import wire

_SOCKET_PATH_MOST = 100
_SPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_BOUNDS = ("cpu.max", "memory.high", "memory.max", "pids.max")
_GROUPS = Path("/sys/fs/cgroup")
# Not TMPDIR: it may be long, and differ between those who should share a zygote.
_SHORT = Path("/tmp")


@dataclass(frozen=True)
class Place:
    """The files of one zygote, in a folder that only its user can enter.

    Args:
        folder: that folder.
        name: of this user, interpreter and surroundings.
    """

    folder: Path
    name: str

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / f"{self.name}.sock"

    @property
    def listening(self) -> Path:
        """The lock that a zygote holds while it listens."""
        return self.folder / f"{self.name}.lock"

    @property
    def starting(self) -> Path:
        """The lock that is held while somebody starts one."""
        return self.folder / f"{self.name}.start"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"


def here() -> Place:
    """Return the place for this process.

    Raises:
        OSError: there is no private folder for it, or this system does not say where we are.
    """
    text = json.dumps(surroundings(), sort_keys=True)
    folder = _folder()
    name = hashlib.sha256(f"{folder} {text}".encode()).hexdigest()[:12]
    if len(str(folder / f"{name}.sock")) > _SOCKET_PATH_MOST:
        folder = _short()
    return Place(folder, name)


def surroundings() -> dict[str, Any]:
    """Return what a fork has from its zygote and what cannot be given to it afterwards."""
    return {
        # `python` and `python3` of one environment are the same; a fork is given the name that was used.
        "python": [str(Path(sys.executable).resolve()), sys.prefix, sys.version],
        "user": [os.getuid(), os.getgid(), sorted(os.getgroups())],
        "spaces": _spaces("self"),
        "bounds": sorted(_bounds()),
    }


def neighbour(connection: socket.socket) -> int:
    """Return the process on the other side of a connection; 0 unless it is where and whose we are.

    A folder can be shared with a container, and so its sockets: there the same user may be another one.
    """
    pid, user = wire.peer(connection)
    try:
        near = user == os.getuid() and pid != 0 and _spaces(str(pid)) == _spaces("self")
    except OSError:  # it is gone, or cannot be looked at
        return 0
    return pid if near else 0


def _spaces(process: str) -> list[str]:
    return [str(Path(f"/proc/{process}/ns/{name}").readlink()) for name in _SPACES]


def _folder() -> Path:
    """Return `OPSLIB_KERNELS_HOME`, which many homes may share, else a folder in the home."""
    given = os.environ.get("OPSLIB_KERNELS_HOME")
    return _own(Path(given).absolute() if given else private("run"))


def _bounds() -> Iterator[str]:
    """Yield the limits of the control groups that we are in; a kernel must not escape them."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _unified(_GROUPS / path.strip("/"))
        elif path != "/" and {"cpu", "memory", "pids"} & set(controllers.split(",")):
            yield f"{controllers}:{path}"


def _unified(folder: Path) -> Iterator[str]:
    for place in (folder, *folder.parents):
        if not place.is_relative_to(_GROUPS):
            return
        for name in _BOUNDS:
            try:
                value = (place / name).read_text(encoding="utf-8").strip()
            except OSError:
                continue
            if not value.startswith("max"):
                yield f"{place / name}={value}"


def _short() -> Path:
    """Return a folder with a short path, which must be ours and nobody else's."""
    return _own(_SHORT / f"opslib-{os.getuid()}")


def _own(folder: Path) -> Path:
    """Make a folder unless it is there; it must be ours and nobody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise PermissionError(f"{folder} is not a private folder of this user; its mode must be 0700")
    for above in folder.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise PermissionError(f"{folder} can be replaced by anybody: all may write in {above}")
    return folder
