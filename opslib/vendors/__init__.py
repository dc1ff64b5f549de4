"""One file a vendor. A file `x.py` here with a `CLIENT` is the vendor `x`; no list is kept anywhere.

A client is made with `CLIENT(access, resolver=..., on_call=...)`, answers with DataFrames whose
columns its `COLUMNS` names (method -> columns), and has `probe()` for a harmless first look.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Protocol

from opslib.calls import Call
from opslib.errors import UnknownName

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import VendorAccess


class Vendor(Protocol):
    """What every vendor's client can do."""

    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(
        self,
        access: VendorAccess,
        *,
        resolver: str | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        """Take the access of one environment; nothing is sent yet."""

    def probe(self) -> pd.DataFrame:
        """Make one harmless call; columns ok, account, detail."""


@functools.cache
def names() -> tuple[str, ...]:
    """Return the vendors that opslib has a client for."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if hasattr(_module(name), "CLIENT")))


def load(name: str) -> type[Vendor]:
    """Return the client class of a vendor.

    Raises:
        UnknownName: there is none; the message offers close matches.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=3)
        offer = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(names())}"
        raise UnknownName(f"opslib has no client for the vendor {name!r}", hint=offer)
    client: type[Vendor] = _module(name).CLIENT
    return client


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
