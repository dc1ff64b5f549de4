"""Are the credits of users right: balances, the ledger behind them, and what was charged twice or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from opslib import frames
from opslib.checks import compare, integrity_look
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
_MOST_ROWS = 1_000_000  # of a ledger that is looked through for business keys that are there twice
DUPLICATE = Cause("credit-duplicate", "the same request was charged twice", 30)
MISMATCH = Cause(
    "ledger-mismatch", "balances and ledger differ: a change without an entry, or an entry too many", 35
)
TWICE = Cause("ledger-entry-twice", "balances and ledger differ: an entry was written twice", 34)
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


def written_again(database: Asked, system: System) -> pd.DataFrame:
    """Look for entries of the ledger whose business key is there more than once; scans the ledger.

    Args:
        database: where.
        system: its file says which columns are the key.

    Returns:
        As `integrity_look.duplicates`.
    """
    return integrity_look.duplicates(database, {LEDGER: system.tables[LEDGER]}, _MOST_ROWS)


def totals(found: pd.DataFrame, seen: pd.DataFrame, again: pd.DataFrame | None = None) -> list[Finding]:
    """Find balances that are negative, absurdly large, or not what the ledger says.

    Args:
        found: the statement `credit_totals`.
        seen: the statement `credit_balances`, to name the worst.
        again: `written_again`, which may say why they differ.
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
    counted = [
        _counted(check, int(row[column]), int(row["accounts"]), cause, status, expected, worst)
        for check, column, cause, status, worst in checks
    ]
    return [_explained(one, again) if one.cause is MISMATCH else one for one in counted]


def duplicates(found: pd.DataFrame) -> Finding:
    """Find requests that were charged twice and not refunded.

    Args:
        found: the statement `credit_duplicates`.
    """
    return compare.none(
        found, check="duplicates", expected="each request is charged once", status=Status.CRITICAL,
        why="users pay twice; opslib plan credits gives it back, once it is approved", cause=DUPLICATE,
    )  # fmt: skip


def refunded(found: pd.DataFrame) -> Finding:
    """Find what opslib gave back, and the app gave back after it; no plan takes it from the user again.

    Args:
        found: the statement `credit_refunded_twice`.
    """
    return compare.none(
        found, check="refunds", expected="what opslib gave back, the app does not give back as well",
        why="ask what the app's refund was for; if for the same charge, correct it by `user` and `by`",
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


def _explained(found: Finding, again: pd.DataFrame | None) -> Finding:
    """Return the finding, with an entry that was written twice as its cause where there is one."""
    rows = [] if again is None else again[again["rows"].gt(0).fillna(False)].to_dict("records")
    if not rows:
        return found
    first = rows[0]
    why = (
        f"{found.why}; {first['rows']} entries have the same business key, the first one: {first['example']}"
    )
    return replace(found, why=why, cause=TWICE, next="duplicates-and-integrity")


def _balance(row: Mapping[Any, Any]) -> str:
    return "no account" if row["gone"] else f"balance {row['balance']}"
