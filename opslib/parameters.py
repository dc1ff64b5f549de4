"""A procedure's parameters: read from the notebook's parameters cell, checked before a kernel starts.

The cell is the only source. Each parameter is one annotated literal with a comment:

    window_minutes: int = 30  # minutes to look back, 1-1440
    routine: Literal["daily", "weekly"] = "daily"  # which list

The text is read as Python (`ast` and `tokenize`), never run, so a default may hold `#` and `=`.
A range at the end of the comment, or before its first `;`, bounds a number.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import math
import re
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opslib.config.secret import EXAMPLES, is_reference
from opslib.errors import ConfigError, ParameterError, UnknownName

_RANGE = re.compile(r"(?:^|[\s,(])(-?\d+(?:\.\d+)?)\s*(?:-|to)\s*(-?\d+(?:\.\d+)?)\)?\.?$")
_YES = {"true", "yes", "on", "1"}
_NO = {"false", "no", "off", "0"}
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list[str]": "a list: a,b,c",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a procedure.

    Args:
        name: as the notebook's variable is called.
        type: `str`, `int`, `float`, `bool`, `list[str]` or `choice`.
        default: the literal in the cell.
        help: the comment behind it.
        minimum: smallest number allowed, None when unbounded.
        maximum: largest number allowed, None when unbounded.
        choices: the values of a `Literal[...]`.
        optional: whether None is allowed.
    """

    name: str
    type: str
    default: Any
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What may be given, in words: `a whole number, 1-50`."""
        if _hides(self):
            words = f"a reference: {EXAMPLES}"
        elif self.choices:
            words = "one of " + ", ".join(str(choice) for choice in self.choices)
        else:
            words = _WORDS[self.type]
        if self.minimum is not None and self.maximum is not None:
            words += f", {self.minimum:g}-{self.maximum:g}"
        return f"{words}, or none" if self.optional else words


def close(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean x?` for names near `word`, else an empty string."""
    found = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def read(source: str) -> tuple[Parameter, ...]:
    """Return the parameters that a parameters cell declares, in their order.

    Raises:
        ConfigError: the cell holds anything but imports and annotated literals, or a default
            that its own annotation, range or choices refuse.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise _wrong(error.lineno or 1, f"not Python: {error.msg}") from error
    comments = _comments(source)
    statements = [node for node in body if not _is_aside(node)]
    found = tuple(_parameter(node, comments) for node in statements)
    names = [parameter.name for parameter in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"parameters cell: {name} is there twice", hint="keep one of the two")
    return found


def _is_aside(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(node: ast.stmt, comments: Mapping[int, str]) -> Parameter:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        raise _wrong(node.lineno, f"`{ast.unparse(node)}` is not of the form `name: type = literal  # help`")
    name = node.target.id
    type_name, choices, optional = _annotation(node.annotation, name)
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise _wrong(node.lineno, f"the default of {name} is not a literal") from error
    words = comments.get(node.end_lineno or node.lineno, "")
    low, high = _range(words) if type_name in ("int", "float") else (None, None)
    parameter = Parameter(name, type_name, default, words, low, high, choices, optional)
    try:
        _typed(parameter, default)
    except ValueError as error:
        raise _wrong(node.lineno, f"the default of {name}, {default!r}, is {error}") from error
    return parameter


def _annotation(node: ast.expr, name: str) -> tuple[str, tuple[Any, ...], bool]:
    """Return type, choices and whether None is allowed."""
    text = ast.unparse(node).replace("typing.", "")
    if isinstance(node, ast.BinOp) and text.endswith("| None"):
        return (*_annotation(node.left, name)[:2], True)
    if isinstance(node, ast.Subscript) and text.startswith("Optional["):
        return (*_annotation(node.slice, name)[:2], True)
    if isinstance(node, ast.Subscript) and text.startswith("Literal["):
        choices = ast.literal_eval(node.slice)
        return "choice", choices if isinstance(choices, tuple) else (choices,), False
    if text in _WORDS:
        return text, (), False
    allowed = f"{', '.join(_WORDS)}, Literal[...], Optional[...]"
    raise _wrong(node.lineno, f"{name}: type {text} cannot be checked", f"use one of {allowed}")


def _range(words: str) -> tuple[float, float] | tuple[None, None]:
    match = _RANGE.search(words) or _RANGE.search(words.partition(";")[0].rstrip())
    return (float(match[1]), float(match[2])) if match else (None, None)


def _wrong(line: int, what: str, hint: str = "mend the parameters cell of the notebook") -> ConfigError:
    return ConfigError(f"parameters cell, line {line}: {what}", hint=hint)


def parse(
    parameters: Sequence[Parameter], given: Mapping[str, object], *, notebook: str = ""
) -> dict[str, Any]:
    """Return the given values with their types; what is not given is left to the notebook's default.

    Args:
        parameters: what the procedure declares.
        given: text from a command line, or values from a YAML file.
        notebook: name to use in messages.

    Raises:
        UnknownName: a name that the procedure does not declare.
        ParameterError: a value of the wrong type, out of range or not among the choices.
    """
    known = {parameter.name: parameter for parameter in parameters}
    where = f"{notebook}: " if notebook else ""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            near = close(name, known)
            hint = f"it has: {', '.join(known) or 'none'}"
            raise UnknownName(f"{where}there is no parameter {name}{near}", hint=hint)
        hint = f"allowed: {known[name].allowed} (default: {known[name].default})"
        if isinstance(value, str) and _hides(known[name]) and not is_reference(value):
            # Not repeated: it may be the secret itself.
            raise ParameterError(
                f"{where}parameter {name} says where a value is, never what it is", hint=hint
            )
        try:
            values[name] = _typed(known[name], value)
        except ValueError as error:
            raise ParameterError(f"{where}parameter {name}: {value!r} is {error}", hint=hint) from error
    return values


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Split `-p name=value` words; only the first `=` parts, so a value may hold more of them.

    Raises:
        ParameterError: a word without `=`, or a name given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        name = name.strip()
        if not sign or not name:
            raise ParameterError(f"-p {word}: not of the form name=value", hint="e.g. -p samples=10")
        if name in found:
            raise ParameterError(f"-p {name} is given twice", hint="keep one of the two")
        found[name] = value
    return found


def _hides(parameter: Parameter) -> bool:
    """Tell whether a parameter is a reference to a secret: its default is one."""
    return isinstance(parameter.default, str) and is_reference(parameter.default)


def _typed(parameter: Parameter, value: object) -> Any:
    """Return the value in the parameter's type; ValueError ends the sentence `... is`."""
    if parameter.optional and (value is None or value in ("", "none", "None", "null")):
        return None
    if parameter.choices:
        return _choice(parameter, value)
    typed = _READERS[parameter.type](value)
    if parameter.minimum is not None and not parameter.minimum <= typed:
        raise ValueError(f"below the smallest value allowed, {parameter.minimum:g}")
    if parameter.maximum is not None and not typed <= parameter.maximum:
        raise ValueError(f"above the largest value allowed, {parameter.maximum:g}")
    return typed


def _choice(parameter: Parameter, value: object) -> Any:
    for choice in parameter.choices:
        if value == choice or (isinstance(value, str) and value == str(choice)):
            return choice
    near = close(str(value), map(str, parameter.choices))
    raise ValueError(f"not {parameter.allowed.removesuffix(', or none')}{near}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not text (in a YAML file, put it in quotes)")
    return value


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    raise ValueError("not a whole number")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("not a number") from error
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _YES | _NO:
        raise ValueError("neither true nor false")
    return word in _YES


def _list(value: object) -> list[str]:
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [part.strip() for part in value.split(",") if part.strip()]
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError("not a list") from error
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise ValueError("not a list of texts")
    return list(value)


_READERS: dict[str, Callable[[object], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _truth,
    "list[str]": _list,
}
