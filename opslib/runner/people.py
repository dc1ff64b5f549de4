"""Keys of the people who may approve changes, as verification holds approvals against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from opslib.home import parameters_file

if TYPE_CHECKING:
    from opslib.config.people import Person
    from opslib.evidence.people import Holder

FILE = "people.yml"


def people_text() -> str | None:
    """Return the keys of everybody in `parameters/people.yml`, one a line; None where there is no such file.

    Raises:
        ConfigError: the file is wrong.
    """
    path = parameters_file(FILE)
    if path is None:
        return None
    from opslib.config.people import load_people

    return "".join(f"{line}\n" for person in load_people(path.parent) for line in _lines(person))


def known_people() -> Mapping[str, Holder] | None:
    """Return fingerprint -> holder of the same keys; None where there is no such file.

    Raises:
        ConfigError: the file is wrong.
    """
    from opslib.evidence.people import people_keys

    text = people_text()
    return None if text is None else people_keys(text)


def _lines(person: Person) -> Iterator[str]:
    """Yield the keys of a person, each with the term in which both the key and the person count."""
    from opslib.evidence.people import Holder

    for key in person.keys:
        since = max((one.since for one in (key, person) if one.since), default=None)
        until = min((one.until for one in (key, person) if one.until), default=None)
        holder = Holder(person.id, _begin(since), _begin(until + timedelta(days=1)) if until else None)
        yield f"{holder.line} {key.key}"


def _begin(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
