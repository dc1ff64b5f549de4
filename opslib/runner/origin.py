"""Where a run comes from: which notebook, which commit, which versions, which machine, who."""

from __future__ import annotations

import getpass
import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opslib.errors import ProcedureError
from opslib.runner.request import Request

_PACKAGES = ("opslib", "papermill", "nbclient", "ipykernel", "pandas", "psycopg", "httpx")
_GIT_SECONDS = 10


def of(request: Request, secrets: list[str]) -> dict[str, Any]:
    """Return what the statement says of a run's origin.

    Args:
        request: the run.
        secrets: names of the secrets that it may use.

    Raises:
        ProcedureError: the notebook's file is gone.
    """
    notebook = request.procedure.path
    person = request.trigger == "manual"
    return {
        "parameters": dict(request.parameters),
        "trigger": request.trigger,
        "actor": request.actor or user(),
        "actor_type": "User" if person else "System",
        "scheduled_for": request.scheduled_for,
        "host": platform.node() or "localhost",
        "secrets": secrets,
        "versions": versions(),
        "source": {
            "name": f"{request.procedure.folder}/{notebook.name}",
            "sha256": _digest(notebook),
            "commit": commit(notebook.parent),
            "dirty": changed(notebook),
        },
    }


def _digest(notebook: Path) -> str:
    try:
        return hashlib.sha256(notebook.read_bytes()).hexdigest()
    except OSError as error:
        raise ProcedureError(f"{notebook}: the notebook cannot be read: {error.strerror}") from error


def user() -> str:
    """Return the name of the user of this process; a number where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@cache
def versions() -> dict[str, str]:
    """Return versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit(folder: Path) -> str | None:
    """Return the commit that a folder's checkout is at; None outside of git."""
    return _git(folder, "rev-parse", "HEAD")


def changed(path: Path) -> bool | None:
    """Say whether a file differs from its commit; None outside of git."""
    said = _git(path.parent, "status", "--porcelain", "--", path.name)
    return None if said is None else bool(said)


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
