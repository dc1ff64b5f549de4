"""`parameters/people.yml`: who may change something, and by which keys they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opslib.config.fields import Part, Text, wrong
from opslib.config.loader import parameters_folder
from opslib.config.model import SANDBOX
from opslib.config.source import Document, Where, read
from opslib.config.validate import validated
from opslib.errors import Refused
from opslib.keys.public import BadKey, PublicKey

if TYPE_CHECKING:
    from opslib.config.environment import Environment

FILE = "people.yml"
YOU = "you"
_ID = re.compile(r"[a-z][a-z0-9._-]*")

Right = Literal["approve", "apply", "break-glass"]


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise wrong("must be a short name: small letters, digits, dots and dashes")
    if text == YOU:
        raise wrong(f"{YOU!r} is taken: so are those called who rehearse in the sandbox")
    return text


def _key(text: str) -> str:
    try:
        return PublicKey.parse(text).text
    except BadKey as error:
        raise wrong(f"{error.message}; {error.hint}") from None


def _date(given: Any) -> Any:
    try:
        return given if isinstance(given, date) else date.fromisoformat(given)
    except (TypeError, ValueError):
        raise wrong("must be a date such as 2026-11-30") from None


Day = Annotated[date, BeforeValidator(_date)]


class Term(Part):
    """A time that begins and ends with a day, in UTC; both days are in it."""

    since: Day | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Term:
        if self.since and self.until and self.until < self.since:
            raise wrong("ends (`until`) before it begins (`since`)")
        return self

    def begun(self, at: datetime) -> bool:
        """Tell whether it has begun at a moment."""
        return self.since is None or self.since <= at.astimezone(UTC).date()

    def ended(self, at: datetime) -> bool:
        """Tell whether it is over at a moment."""
        return self.until is not None and self.until < at.astimezone(UTC).date()


class PersonKey(Term):
    """One key of a person.

    Args:
        key: `ssh-ed25519 AAAA…`; what stands behind it is left out.
        since, until: first and last day on which it counts.
    """

    key: Annotated[Text, AfterValidator(_key)]

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`."""
        return PublicKey(self.key).fingerprint


def _keyed(given: Any) -> Any:
    """Let the bare key stand for one without dates."""
    return [{"key": item} if isinstance(item, str) else item for item in given] if _is_list(given) else given


def _is_list(given: Any) -> bool:
    return isinstance(given, list | tuple)


class Person(Term):
    """Somebody who may change something.

    Args:
        id: short and stable; signatures are shown under it.
        name: as people write it.
        email: where they are reached.
        keys: their public keys.
        may: what they are allowed to: approve, apply, break-glass.
        since, until: first and last day on which any of their keys counts.
    """

    id: Annotated[Text, AfterValidator(_id)]
    name: Text
    email: str = ""
    keys: Annotated[tuple[PersonKey, ...], BeforeValidator(_keyed)] = Field(min_length=1)
    may: tuple[Right, ...] = ("approve", "apply")

    def must(self, right: Right) -> None:
        """Make sure that this person is allowed to do something.

        Raises:
            Refused: they are not.
        """
        if right not in self.may:
            given = ", ".join(self.may) or "nothing"
            raise Refused(
                f"{self.id} may not {_VERB[right]}: parameters/{FILE} gives {given}",
                hint=f"ask somebody who may, or have `{right}` added to `may` of {self.id}",
            )


_VERB = {"approve": "approve", "apply": "apply", "break-glass": "break the glass"}


class _File(Part):
    """The file."""

    people: Annotated[tuple[Person, ...], BeforeValidator(lambda given: given or ())] = ()


@dataclass(frozen=True)
class People:
    """Everybody in `parameters/people.yml`.

    Args:
        everybody: in the file's order.
    """

    everybody: tuple[Person, ...] = ()

    def __iter__(self) -> Iterator[Person]:
        return iter(self.everybody)

    def owner(self, public: str) -> tuple[Person, PersonKey] | None:
        """Return whose key this is, whether it counts now or not; None when it is nobody's."""
        wanted = PublicKey.parse(public).text
        found = ((person, key) for person in self.everybody for key in person.keys if key.key == wanted)
        return next(found, None)

    def by_key(self, public: str, at: datetime) -> Person:
        """Return who holds a key.

        Args:
            public: `ssh-ed25519 AAAA…`.
            at: when it was used.

        Raises:
            Refused: it is nobody's, or does not count at that time.
        """
        found = self.owner(public)
        if found is None:
            raise Refused(
                f"nobody in parameters/{FILE} has the key {PublicKey.parse(public).fingerprint}",
                hint="add the lines that `opslib keys show` prints",
            )
        person, key = found
        for what, term in ((f"the key of {person.id}", key), (person.id, person)):
            _must_hold(what, term, at)
        return person

    def rehearsing(self, environment: Environment, public: str) -> People:
        """Return these people and, in the sandbox only, whoever holds a key that is nobody's.

        So a rehearsal needs no line in the file; anywhere else nobody is added.

        Args:
            environment: where something is to be changed.
            public: the key of whoever works here.
        """
        if environment.name != SANDBOX or self.owner(public):
            return self
        you = Person.model_construct(
            id=YOU,
            name="you (rehearsal)",
            email="",
            keys=(PersonKey(key=public),),
            may=("approve", "apply", "break-glass"),
        )
        return replace(self, everybody=(*self.everybody, you))


def _must_hold(what: str, term: Term, at: datetime) -> None:
    hint = f"see parameters/{FILE}; `opslib keys list` shows everybody"
    if term.ended(at):
        raise Refused(f"{what} ended on {term.until}", hint=hint)
    if not term.begun(at):
        raise Refused(f"{what} begins on {term.since} only", hint=hint)


def load_people(root: Path | None = None) -> People:
    """Read and check who may change something; without a file it is nobody.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the file is wrong, or one key belongs to two people.
    """
    path = parameters_folder(root) / FILE
    if not path.exists():
        return People()
    document = read(path)
    everybody = validated(_File, document).people
    _check_unique(everybody, document)
    return People(everybody)


def _check_unique(everybody: tuple[Person, ...], document: Document) -> None:
    seen: dict[str, tuple[Where, str]] = {}
    for index, person in enumerate(everybody):
        keys = [(("people", index, "keys", n), key.key) for n, key in enumerate(person.keys)]
        for where, value in [(("people", index, "id"), person.id), *keys]:
            if value in seen:
                first, whose = seen[value]
                what = "the id" if value == person.id else "the key"
                raise document.error(where, f"{what} is on line {document.line(first)} too, for {whose}")
            seen[value] = where, person.id
