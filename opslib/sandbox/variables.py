"""The environment variables of a simulated hosting project, in Vercel's own words.

A variable belongs to one or more targets. The list tells names and when each was set; a value is told
only to who asks for that one variable, and not even then where its type is `sensitive`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PRODUCTION = "production"
TARGETS = (PRODUCTION, "preview", "development")
SENSITIVE = "sensitive"
TYPES = ("encrypted", "plain", SENSITIVE)


@dataclass(frozen=True)
class Variable:
    """One variable of a project.

    Args:
        id: Vercel's identity of it; a variable that is removed and set again has another one.
        key: its name.
        value: its value, which no list tells.
        type: encrypted, plain or sensitive.
        target: the targets that it is set for.
        created, updated: milliseconds since 1970.
        comment: what somebody noted beside it.
    """

    id: str
    key: str
    value: str
    type: str
    target: tuple[str, ...]
    created: int
    updated: int
    comment: str = ""

    def overlaps(self, key: str, target: Iterable[str]) -> bool:
        """Tell whether it is the variable of that name for any of the targets."""
        return self.key == key and not set(self.target).isdisjoint(target)


Variables = dict[str, Variable]  # by id


def made(system: str, names: Iterable[str], moment: int) -> Variables:
    """Return variables that were set long ago.

    Args:
        system: name of the system, from which identities and values follow.
        names: their names.
        moment: when they were set, milliseconds since 1970.
    """
    found = (
        Variable(
            hashed(system + name)[:16],
            name,
            f"sandbox-{hashed(f'{system} {name} value')[:32]}",
            "encrypted",
            (PRODUCTION, "preview"),
            moment,
            moment,
        )
        for name in names
    )
    return {variable.id: variable for variable in found}


def names(variables: Mapping[str, Variable], target: str = PRODUCTION) -> frozenset[str]:
    """Return the names that a new deployment to a target would be built with."""
    return frozenset(variable.key for variable in variables.values() if target in variable.target)


def find(variables: Mapping[str, Variable], key: str, target: Iterable[str] = (PRODUCTION,)) -> Variable:
    """Return the variable of a name that is set for any of the targets.

    Raises:
        KeyError: there is none.
    """
    wanted = tuple(target)
    for variable in variables.values():
        if variable.overlaps(key, wanted):
            return variable
    raise KeyError(key)


def put_back(variables: Variables, variable: Variable) -> None:
    """Let a variable be as it was, whatever was set in its place since."""
    for other in [v.id for v in variables.values() if v.overlaps(variable.key, variable.target)]:
        del variables[other]
    variables[variable.id] = variable


def listing(variables: Mapping[str, Variable]) -> dict[str, Any]:
    """Return the variables as `GET /v10/projects/{id}/env` does; values are opaque, as without decrypt."""
    entries = [document(variable) for variable in sorted(variables.values(), key=lambda v: (v.key, v.id))]
    return {"envs": entries, "pagination": {"count": len(entries), "next": None, "prev": None}}


def document(variable: Variable, *, decrypt: bool = False) -> dict[str, Any]:
    """Return one variable as Vercel shows it.

    Args:
        variable: which.
        decrypt: with its value, unless it is of the type `sensitive`.
    """
    shown = {
        "id": variable.id,
        "key": variable.key,
        "type": variable.type,
        "target": list(variable.target),
        "createdAt": variable.created,
        "updatedAt": variable.updated,
        "comment": variable.comment,
        "decrypted": decrypt and variable.type != SENSITIVE,
    }
    if decrypt and variable.type != SENSITIVE:
        return {**shown, "value": variable.value}
    # A sensitive value is left out where the others are sealed: neither can be read.
    return {**shown, "value": "" if variable.type == SENSITIVE else f"eyJ2IjoidjIi{hashed(variable.id)[:24]}"}


def hashed(text: str) -> str:
    """Return what stands for randomness in the sandbox: SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
