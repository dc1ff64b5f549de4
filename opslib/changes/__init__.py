"""The kinds of change. A file here with a `KIND` is one kind; no list is kept anywhere.

Each module holds the planner (observed frames in, `Draft` out; no words elsewhere) and the kind
itself, which can look at a target again and wait until a change has taken hold. What it does is in
the target's act: the kind never writes.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from opslib.errors import UnknownName

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.gate.plan import Observed, Target
    from opslib.pg import Database


@dataclass(frozen=True)
class Means:
    """What a kind may look with.

    Args:
        env: the environment that is changed.
        database: returns the database, entered by the operator's door, or raises `SourceError`.
        vendor: returns the client of a vendor, or raises `NotNamed`.
        settings: `Draft.settings` of the approved plan.
    """

    env: Environment
    database: Callable[[], Database]
    vendor: Callable[[str], Any]
    settings: Mapping[str, Any]


class Kind(ABC):
    """How one kind of change looks at its targets.

    Args:
        means: what it may look with.

    Attributes:
        LOCK: `database` (an advisory lock in the system's database) or `file`.
        CHAINED: a target that is left out or fails ends the rest, as each builds on the one before.
        PATIENCE_S: how long a change may take to show, in seconds.
        STEPS: an act is carried out again and again, until `more` says that nothing is left to do.
    """

    LOCK: ClassVar[str]
    CHAINED: ClassVar[bool]
    PATIENCE_S: ClassVar[float]
    STEPS: ClassVar[bool] = False

    def __init__(self, means: Means) -> None:
        self._means = means

    @abstractmethod
    def observe(self, target: Target) -> Observed:
        """Look at one target now.

        Raises:
            SourceError: it cannot be looked at; nothing is done then.
        """

    def watch(self, target: Target) -> str:
        """Look at what the change did to users; return why it must be taken back, or nothing.

        Without one, the procedure's own probe after the change tells.
        """
        return ""

    def more(self, target: Target, done: Mapping[str, int]) -> bool:
        """Return whether an act in steps goes on after one of them; wait first while others need room.

        Args:
            target: what is changed.
            done: what the last step of all hands has done, the rows first; empty where it found nothing.

        Raises:
            SourceError: it cannot be looked at.
        """
        return False

    def stretches(self, target: Target, hands: int) -> list[Mapping[str, Any]]:
        """Return the parts into which an act in steps is cut, so that several hands can be at it at once.

        Args:
            target: what is changed.
            hands: how many there are; at least one.

        Returns:
            For as many hands as have something to do, and for one at least, the parameters that narrow
            their first step. Together they cover the whole act.

        Raises:
            SourceError: it cannot be looked at.
        """
        return [{}]

    def secrets(self, target: Target) -> Mapping[str, str]:
        """Return label -> value for the secret parts of the target's act that can be had now.

        A way back asks for what `keepsakes` kept only as far as it is not among these.
        """
        return {}

    def keepsakes(self, target: Target) -> Mapping[str, str]:
        """Return label -> value of what undo needs and only can be read before the act."""
        return {}


@cache
def names() -> tuple[str, ...]:
    """Return the kinds of change there are."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if hasattr(_module(name), "KIND")))


def load(name: str) -> type[Kind]:
    """Return one kind.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in names():
        raise UnknownName(f"there is no kind of change {name!r}", hint=f"there are: {', '.join(names())}")
    kind: type[Kind] = _module(name).KIND
    return kind


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
