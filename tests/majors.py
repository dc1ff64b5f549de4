"""The PostgreSQL servers that a machine has beside the packaged one, each of another major version."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

# More of them, as folders with `postgres` in, separated as in PATH.
NAMED = "OPSLIB_PG_MAJORS"
PACKAGED = "packaged"
_USUAL = (*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin"))
_OLDEST = 14


@cache
def folders() -> dict[str, str]:
    """Return the folder of the programs of each server, by `packaged` or its major version."""
    named = [Path(text) for text in os.environ.get(NAMED, "").split(os.pathsep) if text]
    found = {version: str(folder) for folder in (*_USUAL, *named) if (version := _major(folder))}
    return {PACKAGED: "", **dict(sorted(found.items()))}


def _major(folder: Path) -> str:
    """Return the major version of the server in a folder; "" where there is none that is supported."""
    try:
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    version = re.search(r"(\d+)\.", told.stdout)
    return version[1] if version and int(version[1]) >= _OLDEST else ""
