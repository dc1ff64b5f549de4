"""Values with which any packaged statement can be tried on the database of one system."""

from __future__ import annotations

from typing import Any

from opslib.pg import sql

SYSTEM = "your-app"
_FLAGS = ["public", "feature_flags"]
_TABLES = ("table", "archive", "child", "child_archive", "parent")
# What a parameter of type `name` stands for, by the parameter's name; of others it is the key of that table.
NAMES: dict[str, Any] = {
    **dict.fromkeys(_TABLES, _FLAGS),
    **{column: column for column in ("amount", "type", "reason", "status", "request")},
    **dict.fromkeys(("time", "changed"), "updated_at"),
    **dict.fromkeys(("amcheck", "statements"), "extensions"),
    "balance": "rollout_percentage", "ledger": ["public", "entries"],
}  # fmt: skip
# A ledger, which the app of this system does not have.
ENTRIES = b"""create table public.entries (name text, amount int, type text, reason text, status text,
    request text unique, updated_at timestamptz)"""
# Where no table can be made, its columns stand in for the ledger's.
WITHOUT_LEDGER = {
    "ledger": _FLAGS, "amount": "rollout_percentage", "type": "owner", "status": "description",
    "reason": "description", "request": "name",
}  # fmt: skip
VALUES: dict[str, Any] = {
    "int": 0, "float": 0.0, "seconds": 0, "bool": False, "text": "", "time": "2020-01-01T00:00:00Z",
    "list": [], "json": {}, "names": ["name"],
}  # fmt: skip
STATEMENTS = {name: sql.load(name) for name in sql.names()}
READS = tuple(name for name, one in STATEMENTS.items() if one.kind == sql.READ)
COMMANDS = tuple(name for name, one in STATEMENTS.items() if one.kind == sql.COMMAND)
# What asks for an extension that this system does not have is asked by tests of its own.
EXTENDED = tuple(name for name, one in STATEMENTS.items() if one.needs.startswith("the extension"))


def values(statement: sql.Statement, **names: Any) -> dict[str, Any]:
    """Return a value for each parameter; it fits no session, lock or row.

    Args:
        statement: one of those that are packaged.
        names: what a name stands for instead.
    """
    known = {**NAMES, **names}
    return {
        param: 50 if param == "rows" else known.get(param, "name") if kind == sql.NAME else VALUES[kind]
        for param, kind in statement.params.items()
    }
