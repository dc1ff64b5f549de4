"""Copying one file from a bucket to its copy, or back; and removing it again, where it is not the last one.

The bytes stand in no plan. They are read where the plan says, held against the checksum that it names, and
put where nothing is: never over something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opslib.acts import Opening, Work
from opslib.errors import Refused
from opslib.files import places
from opslib.files.place import Content, there_already
from opslib.files.places import COPY, LIVE

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.files.place import Place

PUT, TAKE = "copy_file", "remove_file"
_IDENTITY = ("bucket", "side", "place", "key", "source")
_NEEDED = {**dict.fromkeys((*_IDENTITY, "sha256", "type"), str), "size": int}


@dataclass(frozen=True)
class Wanted:
    """One file that could be copied, as its source was read.

    Args:
        bucket: name in the system's file.
        side: where it goes: `copy`, or `live` for one that is brought back.
        place: the same, as people know it.
        key: what it is to be called there.
        source: what it is called on the other side.
        size: bytes; 0 where it was not read.
        sha256: checksum over the bytes.
        type: media type.
        reason: why it cannot be copied, or removed.
        archived: it is there, and is to be removed: the other side has it.
    """

    bucket: str
    side: str
    place: str
    key: str
    source: str
    size: int = 0
    sha256: str = ""
    type: str = ""
    reason: str = ""
    archived: bool = False

    @property
    def identity(self) -> dict[str, str]:
        """What makes it this file at this place."""
        return {name: getattr(self, name) for name in _IDENTITY}

    def work(self, name: str) -> Work:
        """Return the work that puts it there, or takes it away."""
        about = {"size": self.size, "sha256": self.sha256, "type": self.type}
        return Work(name, {**self.identity, **about})


def other(side: str) -> str:
    """Return the side that a file comes from."""
    return LIVE if side == COPY else COPY


def carry_out(opening: Opening, env: Environment) -> None:
    """Put the file that an opening of the gate names where it names, or remove it there.

    Raises:
        Refused: it is no such work, a file is not what the plan names, or it is the last one there is.
            Nothing was done.
        Malformed: something is there already (kind `conflict`). Nothing was done.
        SourceError: it did not work.
    """
    act = opening.act
    if not isinstance(act, Work) or act.name not in (PUT, TAKE) or not _whole(act.params):
        raise Refused(f"{act.text} is nothing that can be done with a file")
    given = act.params
    place = _place(env, given, given["side"])
    source = _place(env, given, other(given["side"])).content(given["source"])
    if source is None or not is_same(source, given):
        what = "gone" if source is None else "not the file that the plan names any more"
        raise Refused(f"{given['source']} on the other side is {what}", hint="plan again")
    if act.name == TAKE:
        place.take(opening, given["key"], given["sha256"])
        return
    if place.content(given["key"]) is not None:
        raise there_already(place, given["key"])
    place.put(opening, given["key"], Content(source.data, given["type"]))


def is_same(content: Content, given: Mapping[str, Any]) -> bool:
    """Tell whether a content is the one that an act names."""
    return (len(content.data), content.sha256) == (given["size"], given["sha256"])


def _whole(given: Mapping[str, Any]) -> bool:
    return all(isinstance(given.get(name), kind) for name, kind in _NEEDED.items())


def _place(env: Environment, given: Mapping[str, Any], side: str) -> Place:
    if side not in (LIVE, COPY):
        raise Refused(f"{side} is no side of a bucket")
    found = places.of(env, given["bucket"], side)
    if side == given["side"] and str(found) != given["place"]:
        raise Refused(f"{given['bucket']} leads to {found}, not to what was shown", hint="plan again")
    return found
