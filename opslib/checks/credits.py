"""Are the credits of users right: balances, the ledger behind them, and what was charged twice or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare
from opslib.errors import ParameterError
from opslib.pg import sql
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.checks.old_rows_facts import Asked
    from opslib.config import System

ACCOUNTS, LEDGER = "credits", "credit_transactions"
# What the statements call a column -> what the system's file calls it under the table.
_OF_ACCOUNTS = {"user": "user", "balance": "balance", "time": "changed"}
_OF_LEDGER = ("key", "amount", "type", "reason", "status", "time", "request", "reference")
_NAMED = 3
DUPLICATE = Cause("credit-duplicate", "the same request was charged twice", 30)
MISMATCH = Cause("ledger-mismatch", "a balance was changed without an entry in the ledger", 35)
NEGATIVE = Cause("credit-negative", "a balance fell below zero: the check before a debit was passed by", 40)
ABSURD = Cause("credit-absurd", "a balance is larger than any user could have bought", 45)
FAILED = Cause("credit-failed", "an entry failed and was never made good", 50)


@dataclass(frozen=True)
class Books:
    """Where balances and ledger are, by the names that the system's file has.

    Args:
        names: parameters of the statements: tables and columns.
        low, high: what a balance may be.
    """

    names: Mapping[str, Any]
    low: int
    high: int

    def ask(self, database: Asked, name: str, **values: Any) -> pd.DataFrame:
        """Run one statement with those names that it takes; empty, with the reason, where rows are hidden.

        Args:
            database: where.
            name: the statement.
            values: its other parameters.
        """
        if reason := self._unseen(database):
            return frames.unavailable([column.name for column in sql.load(name).returns], reason)
        return database.table(name, **self.fitting(name), **values)

    def _unseen(self, database: Asked) -> str:
        """Return why we do not see all rows of both tables, or nothing."""
        for schema, name in (self.names["table"], self.names["ledger"]):
            facts = database.table("table_facts", schema=schema, name=name, time="")
            if reason := frames.reason(facts):
                return reason
            if facts.empty:
                return f"there is no table {schema}.{name}"
            if not bool(facts.iloc[0]["readable"]) or bool(facts.iloc[0]["hidden"]):
                return (
                    f"our role may not see the rows of {name}: grant select, let it past row level security"
                )
        return ""

    def fitting(self, name: str) -> dict[str, Any]:
        """Return those of the names that a statement takes."""
        return {key: value for key, value in self.names.items() if key in sql.load(name).params}


def books(system: System) -> Books:
    """Return where a system's file says that balances and ledger are.

    Raises:
        ParameterError: it does not say so; the message names the keys.
    """
    missing = [name for name in (ACCOUNTS, LEDGER) if name not in system.tables]
    if not missing:
        accounts, ledger = system.tables[ACCOUNTS].columns, system.tables[LEDGER].columns
        missing = [f"{ACCOUNTS}.columns.{name}" for name in _OF_ACCOUNTS if name not in accounts]
        missing += [f"{LEDGER}.columns.{name}" for name in _OF_LEDGER if name not in ledger]
    if missing:
        hint = "add them under `tables` in the system's file"
        raise ParameterError(
            f"{system.name} does not say where its credits are: {', '.join(missing)}", hint=hint
        )
    names: dict[str, Any] = {"table": ["public", ACCOUNTS], "ledger": ["public", LEDGER]}
    names |= {ours: accounts[name] for name, ours in _OF_ACCOUNTS.items()}
    names |= {name: ledger[name] for name in _OF_LEDGER}
    low, high = (int(str(system.fact(name).value)) for name in ("balance_min", "balance_max"))
    return Books(names, low, high)


def totals(found: pd.DataFrame, seen: pd.DataFrame) -> list[Finding]:
    """Find balances that are negative, absurdly large, or not what the ledger says.

    Args:
        found: the statement `credit_totals`.
        seen: the statement `credit_balances`, to name the worst.
    """
    expected = "each balance is what the ledger says, and none is below zero"
    reason = frames.reason(found) or frames.reason(seen)
    if not reason and (len(found) != 1 or not int(found["accounts"].iloc[0])):
        reason = "there is no account at all, which cannot be"
    if reason:
        return [compare.unknown("balances", reason, expected=expected)]
    row = found.iloc[0]
    poorest = seen[seen["balance"] < 0].sort_values("balance")
    furthest = seen[seen["drift"] != 0].sort_values("drift", key=abs, ascending=False)
    richest = seen[seen["absurd"].eq(True)].sort_values("balance", ascending=False)
    checks = (
        ("negative balances", "negative", NEGATIVE, Status.CRITICAL, poorest),
        ("ledger", "drifting", MISMATCH, Status.CRITICAL, furthest),
        ("absurd balances", "absurd", ABSURD, Status.WARNING, richest),
    )
    return [
        _counted(check, int(row[column]), int(row["accounts"]), cause, status, expected, worst)
        for check, column, cause, status, worst in checks
    ]


def duplicates(found: pd.DataFrame) -> Finding:
    """Find requests that were charged twice and not refunded.

    Args:
        found: the statement `credit_duplicates`.
    """
    return compare.none(
        found, check="duplicates", expected="each request is charged once", status=Status.CRITICAL,
        why="users pay twice; the plan below gives it back", cause=DUPLICATE,
    )  # fmt: skip


def failed(found: pd.DataFrame) -> Finding:
    """Find entries that failed and were not made good.

    Args:
        found: the statement `credit_failed`; those in doubt are told, and are no fault by themselves.
    """
    doubtful = 0 if frames.reason(found) else int(found["doubtful"].sum())
    certain = found if frames.reason(found) else found[~found["doubtful"].astype(bool)]
    told = compare.none(
        certain, check="failed entries", expected="what failed was repeated or made good",
        why="find out why before it is repeated: `retry` names those to make good", cause=FAILED,
    )  # fmt: skip
    return _in_doubt(told, doubtful) if doubtful else told


def _in_doubt(told: Finding, count: int) -> Finding:
    """Return the finding, which also says how many failures may have been made good."""
    said = (
        f"{count} more may be made good: without a reference, each is followed by an entry like it;"
        " ask the user before it is repeated"
    )
    why = f"{told.why}. {said}" if told.why else said
    return replace(told, observed=f"{told.observed}, {count} in doubt", why=why)


def _counted(
    check: str, count: int, accounts: int, cause: Cause, status: Status, expected: str, worst: pd.DataFrame
) -> Finding:
    if not count:
        return Finding(check, Status.OK, "", f"0 of {accounts} accounts", "0", expected)
    rows = worst.head(_NAMED).to_dict("records")
    why = "; ".join(f"{row['owner']}: {_balance(row)}, ledger {row['ledger']}" for row in rows)
    return Finding(check, status, "", f"{count} of {accounts} accounts", "0", expected, why, cause=cause)


def _balance(row: Mapping[Any, Any]) -> str:
    return "no account" if row["gone"] else f"balance {row['balance']}"
