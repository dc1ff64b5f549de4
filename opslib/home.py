"""Where opslib keeps its own files: private, per user, never inside the project."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from opslib.errors import UsageError


def home() -> Path:
    """Return `OPSLIB_HOME`, or the platform's place for user data; created 0700."""
    given = os.environ.get("OPSLIB_HOME")
    path = Path(given).expanduser() if given else Path(platformdirs.user_data_dir("opslib"))
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path.resolve()


def private(name: str) -> Path:
    """Return the folder `name` (spool, locks, run, sandbox, keys) below `home()`; created 0700."""
    path = home() / name
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def default_archive() -> Path:
    """Return the archive's place: `OPSLIB_ARCHIVE`, else the folder `archive` of the project.

    The project is the nearest folder upwards that has `parameters/systems`; so a notebook opened in
    JupyterLab, whose working directory is its own folder, shares the archive of the command line.

    Raises:
        UsageError: it is no folder.
    """
    given = os.environ.get("OPSLIB_ARCHIVE")
    return archive_folder(given) if given else _project() / "archive"


def _project() -> Path:
    here = Path.cwd()
    found = (folder for folder in (here, *here.parents) if (folder / "parameters" / "systems").is_dir())
    return next(found, here)


def archive_folder(place: str) -> Path:
    """Return the folder that a person named as the archive.

    Raises:
        UsageError: it is a URL: a local folder of that name would be taken for the real one.
    """
    if "://" in place:
        raise UsageError(f"{place}: an archive is a folder, not a URL", hint="e.g. --archive /srv/records")
    return Path(place).expanduser().absolute()


def parameters_file(name: str) -> Path | None:
    """Return a file of `parameters/`, if there is one; whether it is right is for `opslib.config` to say.

    Args:
        name: such as `witnesses.yml`.
    """
    given = os.environ.get("OPSLIB_PARAMETERS")
    folder = Path(given).expanduser().absolute() if given else _project() / "parameters"
    places = (folder / name, folder / "parameters" / name)
    return next((path for path in places if path.exists()), None)


def default_environment() -> str:
    """Return the environment to use when none is named: `OPSLIB_ENV`, else `sandbox`."""
    return os.environ.get("OPSLIB_ENV") or "sandbox"
