"""Checks a file's content against its model and says what is wrong in plain words, with its line."""

from __future__ import annotations

import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from opslib.config.source import Document, Where
from opslib.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

_MOST = 5
_WANTED = {
    "string": "must be text (put numbers and dates in quotes)",
    "float": "must be a number",
    "int": "must be a whole number",
    "bool": "must be true or false",
    "dict": "must be a mapping (`key: value` lines, indented)",
    "model": "must be a mapping (`key: value` lines, indented)",
    "list": "must be a list (lines that begin with `- `)",
    "tuple": "must be a list (lines that begin with `- `)",
}


def close(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known name that is nearest to a wrong one; empty when none is near."""
    names = list(known)
    begins = [other for other in names if len(name) > 2 and other.startswith(name)]
    return next(iter(begins or get_close_matches(name, names, n=1, cutoff=cutoff)), "")


def validated(model: type[Model], document: Document) -> Model:
    """Return a file's content as its model.

    Raises:
        ConfigError: naming file, line and key of the first five faults; values are not repeated,
            as one of them may be a secret in the wrong place.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise _explained(model, document, error) from None


def _explained(model: type[BaseModel], document: Document, error: ValidationError) -> ConfigError:
    places: dict[Where, Any] = {}
    for fault in error.errors(include_url=False):
        places.setdefault(_inside(fault["loc"], fault["type"], document), fault)
    ordered = sorted(places.items(), key=lambda item: document.line(item[0]))
    said = [(where, *_sentence(model, where, fault)) for where, fault in ordered[:_MOST]]
    lines = [f"{document.place(where)}: {what}" for where, what, _hint in said]
    if len(ordered) > _MOST:
        lines.append(f"… and {len(ordered) - _MOST} more")
    return ConfigError("\n".join(lines), hint=next((hint for *_rest, hint in said if hint), ""))


def _inside(loc: Where, kind: str, document: Document) -> Where:
    """Drop the parts of a location that pydantic adds for unions: they are not keys of the file."""
    named_key = kind in ("missing", "extra_forbidden")
    kept: list[str | int] = []
    here: Any = document.data
    for index, part in enumerate(loc):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            if not (named_key and index == len(loc) - 1):
                continue
        kept.append(part)
    return tuple(kept)


def _sentence(model: type[BaseModel], where: Where, fault: Any) -> tuple[str, str]:
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = allowed(model, where[:-1])
        guess = close(str(where[-1]), known)
        return "unknown key", f"did you mean {guess}?" if guess else f"known here: {', '.join(known)}"
    if kind == "missing":
        return "this key is missing", ""
    if kind in ("literal_error", "enum"):
        return f"must be one of {fault['ctx']['expected']}", ""
    if kind == "opslib":
        return str(fault["ctx"]["what"]), ""
    if fault["input"] is None:
        return "has no value", "give it one, or remove the line"
    if len(fault["loc"]) > len(where):
        return "must be one value: text, a number, true or false", ""
    stem = kind.removesuffix("_type").removesuffix("_parsing")
    return _WANTED.get(
        stem, str(fault["msg"]).replace("Input should", "must").replace("must be a valid", "must be a")
    ), ""


def allowed(model: type[BaseModel], where: Where) -> list[str]:
    """Return the keys that a file may have at one place."""
    here: Any = model
    for part in where:
        here = _bare(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            found = here.model_fields.get(str(part))
            here = found.annotation if found else None
        elif get_args(here):
            here = get_args(here)[1 if get_origin(here) is dict else 0]
    here = _bare(here)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [found.alias or name for name, found in here.model_fields.items()]


def _bare(annotation: Any) -> Any:
    """Return a type without `Annotated` and without `| None`."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation
