"""`parameters/witnesses.yml`: who outside holds the head of our log, and whose logs we witness ourselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from opslib.config.fields import Number, Part, Reference, Text, Url, wrong
from opslib.config.loader import parameters_folder
from opslib.config.source import Document, Where, read
from opslib.config.validate import validated

FILE = "witnesses.yml"
RESERVED = ("none", "enough")  # words of a trust policy
_LATE_HOURS = 48.0
_NEEDS = {"c2sp": ("url", "key"), "git": ("remote",), "rfc3161": ("url", "certificate"), "s3": ()}
_MAY = {"c2sp": ("token",), "git": (), "rfc3161": ("token",), "s3": ()}
_OF_A_KIND = ("url", "key", "token", "remote", "certificate")
_KEY = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEY_NAME = re.compile(r"[^\s+]{1,200}")
_REMOTE = re.compile(r"/\S+|[^\s/:-][^\s:]*:\S+")
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9._/-]*[A-Za-z0-9_]")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise wrong(what)
        return text

    return AfterValidator(check)


Key = Annotated[Text, _matching(_KEY, "must be a key of the form name+id+base64: ask whoever holds it")]
Name = Annotated[Text, _matching(_NAME, "must be small letters, digits, dots, dashes")]
KeyName = Annotated[Text, _matching(_KEY_NAME, "must be a name without spaces and +, such as example.com/w1")]
Remote = Annotated[Text, _matching(_REMOTE, "must be a git remote: an address, or a path that begins with /")]
Branch = Annotated[Text, _matching(_BRANCH, "must be the name of a branch")]


class Witness(Part):
    """Somebody outside who holds the head of our log.

    Args:
        name: stable; what it is called on screens and in the trust policy.
        kind: `c2sp`, a witness that cosigns over HTTP; `git`, a remote to which heads are pushed;
            `rfc3161`, an authority that stamps them with the time; or `s3`, the bucket of
            `parameters/store.yml`, whose Object Lock holds them.
        url: of a c2sp witness, without `add-checkpoint`; or of an authority.
        key: its verifier key, `name+id+base64`, which came by another way than the address.
        token: reference to a bearer token, where something in front of it asks for one.
        remote: where to push.
        branch: to which branch.
        certificate: file of the authority's root certificate (PEM); relative to the folder of this file.
    """

    name: Name
    kind: Literal["c2sp", "git", "rfc3161", "s3"]
    url: Url | None = None
    key: Key | None = None
    token: Reference | None = None
    remote: Remote | None = None
    branch: Branch = "opslib-heads"
    certificate: Text | None = None

    @model_validator(mode="after")
    def _complete(self) -> Witness:
        if self.name in RESERVED:
            raise wrong(f"{self.name} has a meaning of its own in a trust policy: choose another name")
        missing = [name for name in _NEEDS[self.kind] if getattr(self, name) is None]
        if missing:
            raise wrong(f"a witness of kind {self.kind} has a `{missing[0]}`")
        given = {name for name in _OF_A_KIND if getattr(self, name) is not None}
        strange = sorted(given - {*_NEEDS[self.kind], *_MAY[self.kind]})
        if strange:
            raise wrong(f"`{strange[0]}` is not for a witness of kind {self.kind}")
        return self


class Serving(Part):
    """What `opslib witness serve` does for others.

    Args:
        name: in our cosignatures, such as `witness.example.com/ours`; it never changes.
        logs: verifier keys of the logs that we witness.
    """

    name: KeyName
    logs: tuple[Key, ...] = Field(min_length=1)


class Witnesses(Part):
    """The file.

    Args:
        witnesses: who is asked to hold the head of our log.
        quorum: how many c2sp witnesses must have cosigned before a record counts as witnessed;
            all of them when not given.
        late_hours: how long after an event its cosignature may come before that is told.
        serves: what we do for others.
    """

    witnesses: tuple[Witness, ...] = ()
    quorum: Annotated[int, Field(strict=True, ge=0)] | None = None
    late_hours: Number = _LATE_HOURS
    serves: Serving | None = None

    @property
    def cosigning(self) -> tuple[Witness, ...]:
        """Those who sign what they saw."""
        return tuple(one for one in self.witnesses if one.kind == "c2sp")

    @property
    def needed(self) -> int:
        """How many of them must have signed."""
        return len(self.cosigning) if self.quorum is None else self.quorum


def load_witnesses(root: Path | None = None) -> Witnesses:
    """Read and check who witnesses our log; without a file it is nobody.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the file is wrong: a name or a key stands there twice, more are asked for than there are.
    """
    path = parameters_folder(root) / FILE
    return read_witnesses(path) if path.exists() else Witnesses()


def read_witnesses(path: Path) -> Witnesses:
    """Read and check a file of that form.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    document = read(path)
    found = validated(Witnesses, document)
    named = [(("witnesses", at, "name"), one.name) for at, one in enumerate(found.witnesses)]
    keys = [(("witnesses", at, "key"), one.key) for at, one in enumerate(found.witnesses) if one.key]
    logs = found.serves.logs if found.serves else ()
    for group in (named, keys, [(("serves", "logs", at), key) for at, key in enumerate(logs)]):
        _check_unique(group, document)
    if found.needed > len(found.cosigning):
        few = f"{found.needed} cannot be asked for: {len(found.cosigning)} are of kind c2sp, which sign"
        raise document.error(("quorum",), few, "lower it, or leave it out: then all of them must have signed")
    return found.model_copy(update={"witnesses": tuple(_placed(one, path) for one in found.witnesses)})


def _placed(one: Witness, path: Path) -> Witness:
    if one.certificate is None:
        return one
    return one.model_copy(update={"certificate": str(path.parent / Path(one.certificate).expanduser())})


def _check_unique(values: Iterable[tuple[Where, str]], document: Document) -> None:
    seen: dict[str, Where] = {}
    for where, value in values:
        if value in seen:
            raise document.error(
                where, f"stands on line {document.line(seen[value])} too", "remove one of the two"
            )
        seen[value] = where
