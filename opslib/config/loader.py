"""Finds `parameters/`, lists the systems in it, and loads one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from opslib.config.limits import KnownVendor, defaults, merged
from opslib.config.model import SANDBOX, System
from opslib.config.source import Document, read, shown
from opslib.config.validate import close, validated
from opslib.errors import ConfigError, UnknownName

NAME = re.compile(r"[a-z][a-z0-9-]*")
_NEW_HINT = (
    "`opslib system new NAME --url https://… --dsn-env DATABASE_URL` makes the folder and a first file"
)


def find_parameters(start: Path | None = None) -> Path:
    """Return the folder `parameters`: `OPSLIB_PARAMETERS`, else the first one upward from `start`.

    Args:
        start: where to begin, without a look at the variable; default the working directory.

    Raises:
        ConfigError: there is none, or the variable names a folder without `systems`.
    """
    given = os.environ.get("OPSLIB_PARAMETERS")
    if given and start is None:
        return _folder(Path(given).expanduser().absolute(), "OPSLIB_PARAMETERS names")
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if _is_folder(folder / "parameters" / "systems"):
            return folder / "parameters"
    raise ConfigError(f"no folder parameters/systems in {here} or above it", hint=_NEW_HINT)


def _folder(path: Path, who: str) -> Path:
    for folder in (path, path / "parameters"):
        if _is_folder(folder / "systems"):
            return folder
    raise ConfigError(f"{who} {path}, but there is no folder `systems` in it", hint=_NEW_HINT)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a folder above the project may be closed to us
        return False


def parameters_folder(root: Path | None) -> Path:
    """Return `root` (the folder `parameters` or the project around it), else what is found."""
    return find_parameters() if root is None else _folder(root, "looked in")


def list_systems(root: Path | None = None) -> tuple[str, ...]:
    """Return the names of all systems that have a file, in alphabetical order.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the folder is not there or cannot be read.
    """
    folder = parameters_folder(root) / "systems"
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ConfigError(f"{shown(folder)} cannot be read: {reason}") from None
    return tuple(sorted(name[:-4] for name in names if name.endswith(".yml") and name[0] not in ".~"))


def system_file(name: str, root: Path | None = None) -> Path:
    """Return the file of a system.

    Raises:
        UnknownName: there is no such system; the nearest names are offered.
    """
    folder = parameters_folder(root)
    known = list_systems(folder)
    if name in known:
        return folder / "systems" / f"{name}.yml"
    guess = close(name, known)
    there = ", ".join(known) or "none yet"
    if NAME.fullmatch(name) and (folder / "systems" / f"{name}.yaml").exists():
        guess = f"{name}.yaml, renamed to {name}.yml"
    hint = f"did you mean {guess}?" if guess else _NEW_HINT
    raise UnknownName(f"there is no system {name!r}; there is: {there}", hint=hint)


def load_system(name: str, root: Path | None = None) -> System:
    """Read and check one system.

    Args:
        name: the file's name without its ending.
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        UnknownName: there is no such system.
        ConfigError: its file is wrong; the message names file, line and key.
    """
    document = read(system_file(name, root))
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{shown(document.path)}: the file's name is the system's name: small letters, digits and dashes"
        )
    if document.data.get("name", name) != name:
        raise document.error(
            ("name",), f"the file is called {name}.yml", "remove the line: the file names the system"
        )
    system = validated(System, Document(document.path, {**document.data, "name": name}, document.lines))
    _check_environments(system, document)
    _check_vendors(system.vendors, document, ())
    limits = merged(system.limits, document)
    environments = {n: _with_limits(system, n, limits, document) for n in system.environments}
    return system.model_copy(update={"limits": limits, "environments": environments})


def _check_environments(system: System, document: Document) -> None:
    if not system.environments:
        raise document.error(("environments",), "a system has at least one environment", "name it production")
    if SANDBOX in system.environments:
        raise document.error(
            ("environments", SANDBOX),
            "the sandbox is always there and made by opslib",
            "remove this environment",
        )


def _with_limits(system: System, name: str, limits: dict[str, Any], document: Document) -> Any:
    """Return an environment whose own limits were checked and have their units."""
    spec = system.environments[name]
    at = ("environments", name)
    _check_vendors(spec.vendors, document, at)
    full = merged(spec.limits, document, at)
    return spec.model_copy(update={"limits": {key: full[key] for key in spec.limits}})


def _check_vendors(vendors: Any, document: Document, at: tuple[str, ...]) -> None:
    known: dict[str, KnownVendor] = defaults().vendors
    for name, vendor in vendors.items():
        if name in known or vendor.api_url or vendor.status_url:
            continue
        guess = close(name, known)
        hint = f"did you mean {guess}?" if guess else "give it an api_url or a status_url of its own"
        raise document.error((*at, "vendors", name), "opslib knows no such vendor", hint)
