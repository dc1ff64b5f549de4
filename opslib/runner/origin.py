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
_AT = "# branch.oid "
_NONE_YET = "(initial)"


def of(request: Request, secrets: list[str]) -> dict[str, Any]:
    """Return what the statement says of a run's origin.

    Args:
        request: the run.
        secrets: names of the secrets that it may use.

    Raises:
        ProcedureError: the notebook's file is gone.
    """
    notebook = request.procedure.path
    at, dirty = checkout(notebook)
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
            "commit": at,
            "dirty": dirty,
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


def checkout(path: Path) -> tuple[str | None, bool | None]:
    """Return the commit that a file's checkout is at, and whether the file differs from it.

    Both are None outside of git, and the commit where there is none yet.
    """
    words = ("status", "--porcelain=v2", "--branch", "--untracked-files=all", "--", path.name)
    said = _git(path.parent, *words)
    if said is None:
        return None, None
    lines = said.splitlines()
    commit = next((line.removeprefix(_AT) for line in lines if line.startswith(_AT)), _NONE_YET)
    return (None if commit == _NONE_YET else commit), any(not line.startswith("#") for line in lines)


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            # A look must not hold the lock that somebody at work in the checkout needs.
            ["git", "--no-optional-locks", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
