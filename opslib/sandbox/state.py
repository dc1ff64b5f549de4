"""The state file by which everyone finds the sandbox that is up: `$OPSLIB_HOME/sandbox/state.json`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from opslib.home import private


def path() -> Path:
    """Return where the file is, whether or not it exists."""
    return private("sandbox") / "state.json"


def log_path() -> Path:
    """Return the log of the sandbox's process."""
    return private("sandbox") / "sandbox.log"


def write(document: dict[str, Any]) -> None:
    """Replace the file in one step; only its owner may read it, for it holds passwords."""
    target = path()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".state-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    Path(name).replace(target)


def read() -> dict[str, Any] | None:
    """Return what the file says, true or not; None when there is no usable file."""
    try:
        document = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    usable = isinstance(document, dict) and {"pid", "control", "token"} <= document.keys()
    return document if usable else None


def remove() -> None:
    """Remove the file, if it is there."""
    path().unlink(missing_ok=True)
