"""One YAML file, with the line on which each of its keys stands.

YAML's old surprises are left out: `yes`, `08:00` and `2025-01-16` stay text, a key given twice is
an error, and a value that looks like a password or a token is refused without being shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from opslib.errors import ConfigError

Where = tuple[str | int, ...]

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SECRET = re.compile(
    # A password may hold a slash, which no address does; over HTTP a name alone is mostly a token.
    r"://[^\s/?#@:]*:(?!\d+[/?#])[^\s@]+@"
    r"|https?://[^\s/?#@]+@"
    r"|\bpassword\s*=\s*\S"
    r"|\b(?:sk_live_|sk_test_|rk_live_|sk-|sbp_|ghp_|github_pat_|xox[abp]-|whsec_|phx_|dp\.[ps]t\.|AKIA)[\w-]{8,}"
    r"|\beyJ[\w-]{10,}\.eyJ",
    re.IGNORECASE,
)
SECRET_HINT = (
    "keep the value out of the file: put it into a variable and write env:NAME (or file:, doppler:);"
    " for a git remote leave it out, as git has one from its credential helper, or use an SSH key"
)


class _Loader(_Base):  # type: ignore[misc]
    """YAML 1.2's plain types only."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|false|False)$", "tTfF"),
    ("null", r"^(?:~|null|Null|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


@dataclass(frozen=True)
class Document:
    """A YAML file's content and where each part of it stands.

    Args:
        path: the file.
        data: the top-level mapping.
        lines: path of keys -> line number, counted from 1.
    """

    path: Path
    data: dict[str, Any]
    lines: Mapping[Where, int]

    def line(self, where: Where) -> int:
        """Return the line of a key, or of the nearest thing around it that the file has."""
        for end in range(len(where), -1, -1):
            if where[:end] in self.lines:
                return self.lines[where[:end]]
        return 1

    def place(self, where: Where) -> str:
        """Return `file:line: key.of.keys`, as an error message begins."""
        dotted = ".".join(str(part) for part in where)
        return f"{shown(self.path)}:{self.line(where)}: {dotted or 'the file'}"

    def error(self, where: Where, what: str, hint: str = "") -> ConfigError:
        """Return the error that says what is wrong at one place of the file."""
        return ConfigError(f"{self.place(where)}: {what}", hint=hint)


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative when it lies below the working directory."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def read(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, is not a mapping, has a key twice or
            holds something that looks like a secret; the message names file and line.
    """
    name = shown(path)
    return _parsed(path, _text(path, name), name)


@lru_cache(maxsize=32)
def _parsed(path: Path, text: str, name: str) -> Document:
    """Return what a text says; the same file is read for every run, and seldom another one."""
    node = _compose(text, name)
    if node is None:
        raise ConfigError(f"{name}:1: the file is empty", hint="`opslib system new` writes a commented one")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{_line(node)}: the file must be a mapping (`key: value` lines)")
    builder = _Builder(path)
    return Document(path, builder.mapping(node, ()), builder.lines)


def _text(path: Path, name: str) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file") from None
    except OSError as error:
        raise ConfigError(
            f"{name}: the file cannot be read: {(error.strerror or 'unknown reason').lower()}",
            hint="check that it is a plain file which your user may read",
        ) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}: the file is not UTF-8 text", hint="save it as UTF-8") from None


def _compose(text: str, name: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip("\n").count("\n")) + 1 if mark else 1
        tabbed = _tab_near(text, line)
        what, hint = _explain(error, tabbed is not None)
        raise ConfigError(f"{name}:{tabbed or line}: {what}", hint=hint) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"{name}:1: the file is not YAML", hint="check it for stray characters") from None
    finally:
        loader.dispose()


def _tab_near(text: str, line: int) -> int | None:
    """Return the line, this one or a neighbour, that is indented with a tab."""
    lines = text.splitlines()
    for number in (line, line - 1, line + 1):
        if 0 < number <= len(lines) and re.match(r" *\t", lines[number - 1]):
            return number
    return None


def _explain(error: yaml.MarkedYAMLError, tabbed: bool) -> tuple[str, str]:
    """Say what is wrong; names from the file are left out, since a bare `*password` is an alias to YAML."""
    problem = error.problem or ""
    if tabbed:
        return "the line is indented with a tab", "indent with spaces, two for each level"
    if "alias" in problem:
        return "a value begins with *, which has a meaning of its own in YAML", "put the value in quotes"
    if "anchor" in problem:
        return "a value begins with &, which has a meaning of its own in YAML", "put the value in quotes"
    if "another document" in problem or "single document" in (error.context or ""):
        return "a second document begins here (---)", "one file holds one system: remove the --- line"
    return f"this is not YAML: {problem}", "check indentation, colons and quotes here and on the line above"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


@dataclass
class _Builder:
    """Makes plain data from YAML nodes and notes the line of every key on the way."""

    path: Path
    lines: dict[Where, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        """Return a mapping as a dict with text keys."""
        made: dict[str, Any] = {}
        self.lines.setdefault(where, _line(node))
        for key_node, value_node in node.value:
            key = self._key(key_node, where)
            if key in made:
                first = self.lines[(*where, key)]
                what = f"the key is given twice (first on line {first})"
                raise self._error(key_node, (*where, key), what, "keep one of the two")
            self.lines[(*where, key)] = _line(key_node)
            made[key] = self.value(value_node, (*where, key))
        return made

    def value(self, node: yaml.Node, where: Where) -> Any:
        """Return any node as plain data."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if id(node) in self.open:
            raise self._error(node, where, "the value contains itself", "write it out")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, where)
            return [self._entry(child, (*where, index)) for index, child in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def _entry(self, node: yaml.Node, where: Where) -> Any:
        self.lines[where] = _line(node)
        return self.value(node, where)

    def _key(self, node: yaml.Node, where: Where) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value:
            return str(node.value)
        raise self._error(node, where, "a key must be a word", "put the key in quotes")

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        if _SECRET.search(node.value):
            raise self._error(node, where, "this looks like a password or a token", SECRET_HINT)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind in _MAKE:
            return _MAKE[kind](node.value)
        raise self._error(node, where, "a value begins with !, which has a meaning of its own in YAML",
                          "put the value in quotes")  # fmt: skip

    def _error(self, node: yaml.Node, where: Where, what: str, hint: str) -> ConfigError:
        lines = {**self.lines, where: _line(node)}
        return Document(self.path, {}, lines).error(where, what, hint)


_MAKE: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda _text: None,
}
