"""The packaged statements: one diagnostic is one file in `opslib/sql`, with a header that is read here.

A header is the comment block at the top, `-- key: value`, continued by lines that begin with `--` and
at least three spaces. A line of the statement that ends in `-- pg>=17` (or `-- pg<17`) is kept only for
those versions, so that one file serves every supported version and can still be read from top to bottom.

A parameter of type `name` is the name of a relation, a column, an index: it stands as `{parameter}` in
the text and is put in as a quoted identifier, one of type `names` as several with commas between. In such
a file a brace that is none is written twice. A name that stands as `%(parameter)s` is bound as well, as the
text that `to_regclass` understands.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from opslib.errors import ParameterError, ProcedureError, UnknownName

KEYS = ("title", "kind", "returns", "params", "needs", "cost", "lock", "since", "pooler")
STEP, WITHIN, ROWS, LOCKS = OPTIONAL = ("step", "within", "rows", "locks")  # a header may go without them
TYPES = ("int", "float", "bool", "text", "time", "seconds", "list", "json", "name", "names")
READ, WRITE, BATCH, COMMAND, LOCK = KINDS = ("read", "write", "batch", "command", "lock")
ACTING = (WRITE, BATCH, COMMAND)  # only the gate may run these
NAME, NAMES = "name", "names"
_LONGEST_NAME = 63  # bytes, as PostgreSQL is built
_HEADER = re.compile(r"-- ([a-z]+): (.*)")
_CONTINUED = re.compile(r"--   +(.*)")
_PRAGMA = re.compile(r"\s*-- pg(>=|<)(\d+)\s*$")


@dataclass(frozen=True)
class Column:
    """A column that a statement promises.

    Args:
        name: its name.
        type: int, float, bool, text, time (UTC), seconds, list or json.
    """

    name: str
    type: str


@dataclass(frozen=True)
class Statement:
    """One packaged statement.

    Args:
        name: name of its file, without the ending.
        title: what it answers, in a sentence.
        kind: `read` changes nothing; `write` is run only for an opening of the gate, in a transaction;
            `batch` likewise, one of many, in a transaction that fails rather than drag along a row which
            it did not see; `command` likewise, but outside of any, as VACUUM and all that is CONCURRENTLY
            demand; `lock` takes or gives back an advisory lock and changes no data.
        returns: its columns, in order.
        params: its parameters, by name, with their types.
        step: parameters that narrow one of many steps of it, null for no narrower; a column of the answer
            that is called like one is where the next step begins, null where none follows.
        needs: the role membership that it needs to see everything, or `nothing`.
        cost: what it costs the server.
        lock: the strongest lock that it takes on a user's table.
        since: the oldest major version that it runs on.
        locks: its tables that are locked before it sees anything.
        all_rows: it fails where a policy would hide a row from our role, in place of leaving it out.
        within: seconds that the server may take for the answer; 0: as few as for any other question.
        pooler: it may run through a transaction pooler.
        text: the statement for all versions, with its line pragmas.
    """

    name: str
    title: str
    kind: str
    returns: tuple[Column, ...]
    params: Mapping[str, str]
    step: Mapping[str, str]
    needs: str
    cost: str
    lock: str
    since: int
    locks: tuple[str, ...]
    all_rows: bool
    within: int
    pooler: bool
    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """Its parameters that are names of relations, columns or indexes."""
        return tuple(name for name, kind in self.params.items() if kind in (NAME, NAMES))

    @property
    def unbroken(self) -> bool:
        """It may not be cut off, which would leave an invalid index behind."""
        return self.kind == COMMAND and " index concurrently " in self.text

    def text_for(self, major: int) -> str:
        """Return the statement as one major version understands it, names not yet put in."""
        kept = [_kept(line, major) for line in self.text.splitlines()]
        return "\n".join(line for line in kept if line is not None)

    def filled(self, major: int, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the statement with its names put in, and the values that are left to bind.

        Args:
            major: version of the server.
            params: values; of a name its parts, or one text.

        Raises:
            ParameterError: a name is empty, too long, or no text.
        """
        text = self.text_for(major)
        if not self.names:
            return text, dict(params)
        from psycopg import sql

        names = {name: sql.SQL(self._put(name, params[name])) for name in self.names}
        rest = {name: value for name, value in params.items() if name not in names}
        both = [name for name in names if f"%({name})s" in text]
        rest |= {name: quoted(name, params[name]).replace("%%", "%") for name in both}
        return sql.SQL(text).format(**names).as_string(None), rest

    def locking(self, params: Mapping[str, Any]) -> list[str]:
        """Return the commands that lock its tables, as its own lock would be."""
        tables = ", ".join(quoted(name, params[name]).replace("%%", "%") for name in self.locks)
        return [f"lock table {tables} in row exclusive mode"] if tables else []

    def _put(self, name: str, value: Any) -> str:
        if self.params[name] == NAME:
            return quoted(name, value)
        if isinstance(value, str):
            raise ParameterError(f"{self.name}: {name}: a list of names is needed, not {value!r}")
        return ", ".join(quoted(name, part) for part in value or [""])


def names() -> tuple[str, ...]:
    """Return the names of all packaged statements."""
    files = resources.files("opslib").joinpath("sql").iterdir()
    return tuple(sorted(file.name.removesuffix(".sql") for file in files if file.name.endswith(".sql")))


@cache
def load(name: str) -> Statement:
    """Return one packaged statement.

    Raises:
        UnknownName: there is no file of that name.
        ProcedureError: its header is wrong; the message names file and key.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names())}"
        raise UnknownName(f"There is no packaged statement {name!r}", hint=hint)
    return parse(name, resources.files("opslib").joinpath("sql", f"{name}.sql").read_text("utf-8"))


def parse(name: str, source: str) -> Statement:
    """Read header and statement of one file.

    Raises:
        ProcedureError: a key is missing, unknown or has a wrong value.
    """
    header, text = _split(source)
    wrong = (set(header) - set(OPTIONAL)) ^ set(KEYS)
    if wrong:
        raise ProcedureError(f"opslib/sql/{name}.sql: header keys missing or unknown: {sorted(wrong)}")
    _allowed(name, "kind", header["kind"], KINDS)
    _allowed(name, "pooler", header["pooler"], ("yes", "no"))
    _allowed(name, ROWS, header.get(ROWS, "all"), ("all",))
    return Statement(
        name=name,
        title=header["title"],
        kind=header["kind"],
        returns=tuple(Column(*pair) for pair in _typed(name, "returns", header["returns"])),
        params=dict(_typed(name, "params", header["params"])),
        step=dict(_typed(name, STEP, header.get(STEP, "nothing"))),
        needs=header["needs"],
        cost=header["cost"],
        lock=header["lock"],
        since=int(header["since"]),
        locks=tuple(filter(None, header.get(LOCKS, "").split(", "))),
        all_rows=header.get(ROWS) == "all",
        within=int(header.get(WITHIN, "0")),
        pooler=header["pooler"] == "yes",
        text=text,
    )


def quoted(parameter: str, value: Any) -> str:
    """Return a name as an identifier that any text can be put around.

    Args:
        parameter: what to call it in an error.
        value: one text, or schema and name.

    Raises:
        ParameterError: it is none that PostgreSQL could have given to anything.
    """
    parts = [value] if isinstance(value, str) else list(value)
    for part in parts or [""]:
        if not isinstance(part, str) or not 0 < len(part.encode()) <= _LONGEST_NAME or "\0" in part:
            raise ParameterError(f"{parameter}: {part!r} is no name of 1-{_LONGEST_NAME} bytes")
    # A per cent sign would be taken for a value to bind.
    return ".".join('"' + part.replace('"', '""').replace("%", "%%") + '"' for part in parts)


def _split(source: str) -> tuple[dict[str, str], str]:
    """Return header and statement; the header ends at the first line that is none of its own."""
    header: dict[str, str] = {}
    lines = source.strip().splitlines()
    key = ""
    for number, line in enumerate(lines):
        if found := _HEADER.fullmatch(line):
            key = found[1]
            header[key] = found[2].strip()
        elif key and (more := _CONTINUED.fullmatch(line)):
            header[key] += f" {more[1].strip()}"
        else:
            return header, "\n".join(lines[number:])
    return header, ""


def _typed(name: str, key: str, value: str) -> list[tuple[str, str]]:
    if value == "nothing":
        return []
    pairs = [tuple(part.split()) for part in value.split(",")]
    for pair in pairs:
        if len(pair) != 2:
            raise ProcedureError(f"opslib/sql/{name}.sql: {key}: {' '.join(pair)!r} is not `name type`")
        _allowed(name, key, pair[1], TYPES)
    return [(pair[0], pair[1]) for pair in pairs]


def _allowed(name: str, key: str, value: str, values: Iterable[str]) -> None:
    if value not in values:
        raise ProcedureError(f"opslib/sql/{name}.sql: {key}: {value!r} is none of {', '.join(values)}")


def _kept(line: str, major: int) -> str | None:
    """Return the line without its pragma, or None when it is for other versions."""
    pragma = _PRAGMA.search(line)
    if not pragma:
        return line
    number = int(pragma[2])
    holds = major >= number if pragma[1] == ">=" else major < number
    return line[: pragma.start()] if holds else None
