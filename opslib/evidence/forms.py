"""How the values of an event are written in a leaf, and read again: each in one form only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from opslib.evidence.parts import Planned, Subject
from opslib.evidence.plain import NotSound, moment, written

# RFC 8785 to the byte, as there are no numbers and all names are ASCII; several times as quick.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

Reader = Callable[[Any], Any]


def canonical(thing: Any) -> bytes:
    """Return the one JSON text of a thing.

    Raises:
        UnicodeEncodeError: it holds half a character.
    """
    return _ENCODER.encode(thing).encode()


def plain_form(value: Any) -> Any:
    """Return a value of an event as it goes into JSON."""
    if isinstance(value, datetime):
        return written(value)
    if isinstance(value, tuple):
        return [{part.name: getattr(one, part.name) for part in fields(one)} for one in value]
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NotSound(f"the leaf holds {value!r:.40} where text belongs")
    return value


def _when(value: Any) -> datetime:
    return moment(_text(value))


def _when_known(value: Any) -> datetime | None:
    return None if value is None else _when(value)


def _list_of(kind: type) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise NotSound(f"the leaf holds {value!r:.40} where a list belongs")
        return tuple(kind(**one) for one in value)

    return read


READERS: Mapping[str, Reader] = {
    "str": _text, "datetime": _when, "datetime | None": _when_known,
    "tuple[Subject, ...]": _list_of(Subject), "tuple[Planned, ...]": _list_of(Planned),
}  # fmt: skip
