"""The vendors' APIs as far as they are simulated. A file here with a `SIMULATOR` is one vendor.

A simulator keeps state: what one request changes, the next one sees, and so does the app.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.config import System
from opslib.sandbox.container import Service
from opslib.sandbox.hosting import Project
from opslib.sandbox.simulated import VendorState


@dataclass(frozen=True)
class Estate:
    """What the vendors look after.

    Args:
        systems: the rehearsed systems, by name.
        projects: the hosting vendor's projects, by system.
        vendors: outages, tokens and pages of all vendors, by name.
        services: the container services, by system, of those that have one.
        addresses: the database's address for opslib, by system.
        restart: starts a system's database server anew.
    """

    systems: Mapping[str, System]
    projects: Mapping[str, Project]
    vendors: Mapping[str, VendorState]
    services: Mapping[str, Service] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    restart: Callable[[str], None] = lambda system: None


class Simulator(Protocol):
    """One vendor's API."""

    def __init__(self, estate: Estate) -> None:
        """Begin with a plausible past."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a client must be told: setting -> value, or setting -> {system: value}."""

    def answer(self, method: str, path: str, request: Request, body: Any) -> Response:
        """Answer one authorised request.

        Args:
            method: HTTP method.
            path: below the vendor's address, without the first slash.
            request: headers and query.
            body: the JSON that was sent, or the bytes where it was something else; None for nothing.
        """


@cache
def names() -> tuple[str, ...]:
    """Return the vendors whose API is simulated."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if hasattr(_module(name), "SIMULATOR")))


def make(estate: Estate, wanted: Iterable[str]) -> dict[str, Simulator]:
    """Return a simulator for each wanted vendor that there is one for."""
    return {name: _module(name).SIMULATOR(estate) for name in wanted if name in names()}


def error(status: int, code: str, message: str) -> Response:
    """Return an error in the form that most vendors share."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


def path_of(request: Request, vendor: str) -> str:
    """Return the path below the vendor's address as it was meant: a key may hold any sign."""
    return unquote(request.scope["raw_path"].decode()).removeprefix(f"/{vendor}/")


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
