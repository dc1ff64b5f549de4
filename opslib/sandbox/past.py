"""What a simulated thing was when the sandbox started, to have it so again."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy


def kept(*things: object) -> Callable[[], None]:
    """Remember the attributes of things, and return what puts them back.

    Args:
        things: with attributes that are frozen, or containers of what is frozen; anything else in them,
            a lock or a clock, stays as it is.
    """
    before = [(thing, _copied(thing)) for thing in things]

    def put_back() -> None:
        for thing, attributes in before:
            # A copy once more, or what happens from now on would change what is remembered.
            vars(thing).update({name: _own(value) for name, value in attributes.items()})

    return put_back


def _copied(thing: object) -> dict[str, object]:
    return {name: _own(value) for name, value in vars(thing).items()}


def _own(value: object) -> object:
    return copy(value) if isinstance(value, dict | list | set) else value
