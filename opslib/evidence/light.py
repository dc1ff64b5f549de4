"""What the stand-alone verifier has in the place of `dataclasses`: as much of it as it uses.

Loading that module, and what it then generates, takes a third of the time in which a record is verified.
Values here are not kept from being changed; nothing of the verifier changes them.
"""

from __future__ import annotations

from typing import Any

_MISSING: Any = object()


class Field:
    """A value that instances have.

    Args:
        default: what it is when not given.
        default_factory: what makes it when not given.
    """

    def __init__(self, *, default: Any = _MISSING, default_factory: Any = None, **_: Any) -> None:
        self.default = default
        self.factory = default_factory
        self.name = self.type = ""

    def named(self, name: str, form: str) -> Field:
        """Return it with its name and how it was annotated."""
        self.name, self.type = name, form
        return self

    def absent(self) -> Any:
        """Return what stands for it where it was not given."""
        if self.factory is None and self.default is _MISSING:
            raise TypeError(f"{self.name} is missing")
        return self.factory() if self.factory else self.default


field = Field


def fields(kind: Any) -> tuple[Field, ...]:
    """Return the fields of a class or of an instance."""
    return tuple(kind.of_fields.values())


def dataclass(kind: Any = None, **_: Any) -> Any:
    """Give a class the fields that it annotates, a constructor, equality and a hash."""
    if kind is None:
        return dataclass
    found: dict[str, Field] = dict(getattr(kind, "of_fields", {}))
    for name, form in vars(kind).get("__annotations__", {}).items():
        if not form.startswith("ClassVar"):
            default = vars(kind).get(name, _MISSING)
            made = default if isinstance(default, Field) else Field(default=default)
            found[name] = made.named(name, form)
    kind.of_fields = found
    kind.__init__, kind.__eq__, kind.__hash__ = _filled, _same_values, _hashed
    return kind


def _filled(self: Any, *values: Any, **named: Any) -> None:
    given = {**dict(zip(self.of_fields, values, strict=False)), **named}
    if len(values) > len(self.of_fields) or given.keys() - self.of_fields.keys():
        raise TypeError("there are more values than fields")
    for name, one in self.of_fields.items():
        setattr(self, name, given[name] if name in given else one.absent())
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _values(one: Any) -> tuple[Any, ...]:
    return tuple(getattr(one, name) for name in one.of_fields)


def _same_values(self: Any, other: Any) -> bool:
    return type(self) is type(other) and _values(self) == _values(other)


def _hashed(self: Any) -> int:
    return hash(_values(self))


def replace(one: Any, **values: Any) -> Any:
    """Return an instance with some other values."""
    return type(one)(**{name: values.get(name, getattr(one, name)) for name in one.of_fields})
