"""What a backup holds, written down from the very view that it was made of, and what a database holds now.

A manifest carries a checksum over all that it says, so that no bad disk and no hand changes it unseen. Those
that were written before have none, and are read with that said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import rfc8785

from opslib import ids
from opslib.backup.definitions import settled
from opslib.errors import Malformed

if TYPE_CHECKING:
    from opslib.pg.whole import Frozen

TYPE, _WITHOUT_DIGEST = "https://opslib.dev/backup/v0.2", "https://opslib.dev/backup/v0.1"
UNREADABLE, CHANGED = "manifest", "manifest-changed"  # kinds of `Malformed`
FOREIGN, UNSEALED = "foreign", "unsealed"  # of one that can be read
WRITTEN, BY_NAME = 2, "by name "
_EXACT = 2**53  # up to here every reader of JSON has the same number
Content = Literal["all", "schema", "data"]


@dataclass(frozen=True)
class Table:
    """The rows of one table.

    Args:
        rows: how many.
        checksum: over all of them, in any order; "" where none was made.
    """

    rows: int
    checksum: str = ""


EMPTY = Table(0, "0")  # as the statement `table_checksum` has it


@dataclass(frozen=True)
class Holds:
    """What a database holds.

    Args:
        database: its name.
        server_version: full version of its server.
        taken_at: the moment that was seen, RFC 3339, by the server's clock.
        tables: by name.
        objects: (kind, name) as `kind name` -> what it is made of.
        sequences: by name, with the last value; None for one that was never used. No view holds them, so
            they are read before the dump begins: what the dump has is never behind.
        extensions: by name, with the version.
        roles: without which it cannot be restored as it is.
        steps: of the sequences that do not count up by one; 0 for one that begins again at its end.
        placed: the schema of each extension; none in manifests of before that was noted.
        locale: the columns of the statement `manifest_locale`; nothing in manifests of before that was noted.
        written: in which way `objects` were written down; 0 of before that was noted. Since 2 functions,
            triggers and views are checksums of what a restore leaves of their definitions.
    """

    database: str
    server_version: str
    taken_at: str
    tables: Mapping[str, Table]
    objects: Mapping[str, str]
    sequences: Mapping[str, int | None]
    extensions: Mapping[str, str]
    roles: tuple[str, ...]
    steps: Mapping[str, int] = field(default_factory=dict)
    placed: Mapping[str, str] = field(default_factory=dict)
    locale: Mapping[str, str] = field(default_factory=dict)
    written: int = 0

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    @property
    def major(self) -> int:
        """Major version of the server."""
        return int(self.server_version.partition(".")[0])


@dataclass(frozen=True)
class File:
    """One file of a backup.

    Args:
        bytes: its size.
        sha256: over its content.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything that is known of one backup.

    Args:
        id: its name in the store; begins with the time.
        system, environment: whose database it was.
        content: `all`, `schema` or `data`.
        holds: what the database held.
        client_version: of pg_dump.
        compression: as pg_dump was told.
        finished_at: when it was read back and found whole, RFC 3339.
        seconds: how long it took.
        files: by path below its folder.
        sealed: its file carries a checksum over itself.
        database_bytes: size of the database on its server's disk; 0 where nobody wrote it down.
        warnings: what pg_dump warned of: what it left out is not in the backup.
    """

    id: str
    system: str
    environment: str
    content: str
    holds: Holds
    client_version: str
    compression: str
    finished_at: str
    seconds: float
    files: Mapping[str, File] = field(default_factory=dict)
    sealed: bool = True
    database_bytes: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Whose database it was, as `ENVIRONMENT/SYSTEM`."""
        return f"{self.environment}/{self.system}"

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def taken_at(self) -> datetime:
        """The moment that it holds: what was written later is not in it."""
        return datetime.fromisoformat(self.holds.taken_at)

    def text(self) -> str:
        """Return it as JSON; `read` reads it back."""
        body = {"type": TYPE, **asdict(self)}
        del body["sealed"]
        return json.dumps({**body, "digest": _digest(body)}, indent=1, sort_keys=True) + "\n"


def read(text: str | bytes, what: str) -> Manifest:
    """Return the manifest that `Manifest.text` wrote.

    Args:
        text: the file.
        what: its place, for the error.

    Raises:
        Malformed: it is not whole, or of kind `CHANGED` not what was written.
    """
    try:
        found = json.loads(text)
        sealed = _sealed(found, what)
        holds = found["holds"]
        tables = {name: Table(**table) for name, table in holds["tables"].items()}
        files = {name: File(**file) for name, file in found["files"].items()}
        made = Manifest(
            **{
                **found,
                "holds": Holds(**{**holds, "tables": tables, "roles": tuple(holds["roles"])}),
                "files": files,
                "warnings": tuple(found.get("warnings", ())),
                "sealed": sealed,
            }
        )
        if made.taken_at.tzinfo is None or not made.files or not all(map(_below, made.files)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Malformed(f"{what}: the manifest cannot be read", kind=UNREADABLE) from error
    return made


def _sealed(found: dict[str, Any], what: str) -> bool:
    """Take type and checksum off a manifest, and tell whether it has one."""
    told, kind = found.pop("digest", None), found["type"]
    if kind not in (TYPE, _WITHOUT_DIGEST):
        raise Malformed(f"{what}: not a manifest of this version", kind=UNREADABLE)
    sealed: bool = kind == TYPE or told is not None
    if sealed and told != _digest(found):
        raise Malformed(f"{what}: the manifest is not what was written: its checksum differs", kind=CHANGED)
    del found["type"]
    return sealed


def _digest(body: Any) -> str:
    return f"sha256:{hashlib.sha256(rfc8785.dumps(_exact(body))).hexdigest()}"


def _exact(value: Any) -> Any:
    """Return a value with text in place of numbers that the canonical form does not have."""
    if isinstance(value, Mapping):
        return {name: _exact(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(part) for part in value]
    return str(value) if isinstance(value, int) and abs(value) >= _EXACT else value


def _below(name: str) -> bool:
    """Tell whether a path stays below the folder that it is joined to: a manifest may come from elsewhere."""
    parts = name.split("/")
    return not {"", ".", ".."} & set(parts) and "\\" not in name


def describe(view: Frozen) -> Holds:
    """Return what a database holds, but for its rows.

    Definitions, and how far a sequence has come, are read as they are now, which no view changes: ask for
    them first, so that a deploy while rows are counted leaves no trace.

    Raises:
        SourceError: something could not be read.
    """
    counted = view.sequences()
    objects = pd.concat([view.table("manifest_objects"), view.table("manifest_rights"), _defined(view)])
    extensions = view.table("extensions").set_index("name")
    return Holds(
        database=view.database,
        server_version=view.version,
        taken_at=ids.stamp(view.taken_at),
        tables={},
        objects={f"{row['kind']} {row['name']}": row["detail"] or "" for row in objects.to_dict("records")},
        sequences={name: last for name, (last, _) in counted.items()},
        steps={name: step for name, (_, step) in counted.items() if step != 1},
        extensions=dict(extensions["version"]),
        placed=dict(extensions["schema"]),
        roles=tuple(view.table("manifest_roles")["role"]),
        locale=locale(view),
        written=WRITTEN,
    )


def look(view: Frozen, *, checksums: bool = True, described: Holds | None = None) -> Holds:
    """Return what a database holds in one view.

    Args:
        view: the database as it was at one moment.
        checksums: read every row of every table, too; without, not even the rows are counted.
        described: as `describe` returned it earlier; asked for now where not given.

    Raises:
        SourceError: something could not be read, or row-level security would hide rows.
    """
    found = described or describe(view)
    asked = view.table("manifest_tables").to_dict("records") if checksums else []
    tables = {f"{row['schema']}.{row['name']}": _table(view, row) for row in asked}
    return replace(found, tables=tables)


def _defined(view: Frozen) -> pd.DataFrame:
    found = view.table("manifest_definitions")
    sums = [hashlib.sha256(settled(text).encode()).hexdigest() for text in found["definition"]]
    return found.assign(detail=(found["detail"] + " " + pd.Series(sums, dtype="str")).str.strip())


def locale(view: Frozen) -> dict[str, str]:
    """Return how a database writes text and sorts it, as a manifest has it.

    Raises:
        SourceError: it could not be asked.
    """
    return {str(name): str(said) for name, said in view.table("manifest_locale").iloc[0].items()}


def _table(view: Frozen, row: Mapping[Hashable, Any]) -> Table:
    name = [row["schema"], row["name"]]
    if row["emptied"]:
        return EMPTY
    if row["columns"]:
        summed = view.table("table_checksum_by_name", table=name, columns=row["columns"]).iloc[0]
    else:
        summed = view.table("table_checksum", table=name).iloc[0]
    return Table(int(summed["rows"]), str(summed["checksum"]))
