"""Names that a person types, looked up with a useful answer when they are off."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from opslib.errors import UnknownName


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is among `names`.

    Args:
        kind: what is looked up, for the message: "system", "scenario".
        name: as typed.
        names: the ones there are.

    Raises:
        UnknownName: it is not; the hint has the close ones, else all.
    """
    there = sorted(names)
    if name in there:
        return name
    close = difflib.get_close_matches(name, there, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(there) or 'none'}"
    raise UnknownName(f"The sandbox has no {kind} {name!r}", hint=hint)
