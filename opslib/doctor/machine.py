"""What this machine has: places to write, a kernel, git, PostgreSQL, a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from opslib import home
from opslib.doctor.report import Line
from opslib.errors import OpsError
from opslib.verdict import Status

PART = "machine"
ROOM = 500 * 1024**2  # bytes; a record is small, but a full disk loses it
_GIT_SECONDS = 10


def lines(archive: Path) -> Iterator[Line]:
    """Try this machine.

    Args:
        archive: where records are kept.
    """
    yield Line(PART, "Python", Status.OK, f"{sys.version.split()[0]} ({sys.executable})")
    yield _writable("archive", archive, "name another place with --archive or OPSLIB_ARCHIVE")
    yield _room(archive)
    yield _writable("own files", home.home(), "name another place with OPSLIB_HOME")
    yield _spool()
    yield _kernel()
    yield _git()
    yield _postgres()
    yield _lab()
    yield _browser()


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _writable(what: str, path: Path, hint: str) -> Line:
    """Write and remove a file there, or in the nearest folder above that exists."""
    try:
        with tempfile.TemporaryFile(dir=_existing(path)) as file:
            file.write(b"opslib")
    except OSError as error:
        reason = (error.strerror or "not writable").lower()
        return Line(PART, what, Status.CRITICAL, f"{path}: {reason}", hint)
    return Line(PART, what, Status.OK, str(path))


def _room(archive: Path) -> Line:
    free = shutil.disk_usage(_existing(archive)).free
    status = Status.OK if free > ROOM else Status.WARNING
    return Line(
        PART, "room for records", status, f"{free / 1024**3:.1f} GiB free", "free some space" * (free <= ROOM)
    )


def _spool() -> Line:
    left = [path for path in home.private("spool").iterdir() if path.is_dir()]
    seen = f"{len(left)} runs in progress, or left by a killed runner" if left else "empty"
    return Line(PART, "spool", Status.OK, seen)


def _kernel() -> Line:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Line(PART, "kernel", Status.CRITICAL, "no kernel python3", "pip install ipykernel")
    program = Path(spec.argv[0])
    # jupyter_client starts a kernel whose program is just called python with the interpreter it runs in.
    ours = program.name == str(program) and program.name.startswith("python")
    if not (ours or program.exists() or shutil.which(spec.argv[0])):
        hint = "python -m ipykernel install --sys-prefix"
        return Line(PART, "kernel", Status.CRITICAL, f"{program} is not there", hint)
    return Line(PART, "kernel", Status.OK, str(spec.resource_dir))


def _git() -> Line:
    hint = "records will not name the commit that they were made from"
    if shutil.which("git") is None:
        return Line(PART, "git", Status.WARNING, "not installed", hint)
    words = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    if done.returncode:
        return Line(PART, "git", Status.WARNING, "this folder is in no repository, or has no commit", hint)
    return Line(PART, "git", Status.OK, f"at {done.stdout.strip()}")


def _postgres() -> Line:
    """The server's programs are needed for the sandbox only."""
    from opslib.sandbox import binaries

    try:
        found = binaries.find()
        return Line(PART, "PostgreSQL for the sandbox", Status.OK, f"{found.version}, {found.source}")
    except OpsError as error:
        return Line(PART, "PostgreSQL for the sandbox", Status.WARNING, error.message, error.hint)


def _lab() -> Line:
    if find_spec("jupyterlab") is None:
        return Line(PART, "JupyterLab", Status.WARNING, "not installed", "pip install 'opslib[lab]'")
    return Line(PART, "JupyterLab", Status.OK, "installed")


def _browser() -> Line:
    hint = "open reports and JupyterLab from another machine"
    screen = sys.platform == "darwin" or any(
        os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    try:
        webbrowser.get()
    except webbrowser.Error:
        screen = False
    if not screen:
        return Line(PART, "browser", Status.WARNING, "none can be opened from here", hint)
    return Line(PART, "browser", Status.OK, "can be opened")
