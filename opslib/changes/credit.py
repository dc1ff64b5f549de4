"""Correcting the credits of users: by entries in the ledger, each at most once, and never by overwriting.

An entry has a name of its own that is unique in the ledger, and is written only while balance and ledger
are what was seen. `SET balance = 0` is deliberately not built: it hides the debt and leaves the ledger wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from opslib import frames
from opslib.acts import Statement
from opslib.changes import Kind
from opslib.errors import Malformed, ParameterError
from opslib.gate.plan import Draft, Observed, Risk, Target
from opslib.pg import sql

if TYPE_CHECKING:
    import pandas as pd

    from opslib.checks.credits import Books
    from opslib.checks.old_rows_facts import Asked

CREDIT = "credit"
_REFUND, _BY_HAND = "opslib:refund:", "opslib:correct:"
_FINAL = "an entry stays in the ledger for ever; a wrong one is corrected by another one"


@dataclass(frozen=True)
class Wish:
    """What a person asks for.

    Args:
        refund: give back what was charged twice.
        settle: write an entry of the difference where ledger and balance differ; the balance stays.
        retry: entries that failed and are to be made good.
        user, by: whose balance to correct, and by how much.
    """

    refund: bool = True
    settle: bool = False
    retry: Sequence[str] = ()
    user: str = ""
    by: int = 0


@dataclass(frozen=True)
class _Entry:
    """One entry that is to be written."""

    name: str
    owner: str
    delta: int
    note: str
    on_balance: bool = True


@dataclass
class _Accounts:
    """Balance and ledger of each user, as they will be when the entries before have been written."""

    database: Asked
    books: Books
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, owner: str) -> tuple[int, int] | None:
        if owner not in self.known:
            found = self.books.ask(self.database, "credit_account", owner=owner, entry="")
            if frames.reason(found) or found.empty:
                return None
            self.known[owner] = (int(found["balance"].iloc[0]), int(found["ledger"].iloc[0]))
        return self.known[owner]


def draft(
    database: Asked, books: Books, wish: Wish, *, balances: pd.DataFrame, duplicates: pd.DataFrame,
    failed: pd.DataFrame,
) -> Draft | None:  # fmt: skip
    """Propose the entries that are asked for.

    Args:
        database: where each account is looked at.
        books: where its tables are.
        wish: what is asked for.
        balances, duplicates, failed: the statements `credit_balances`, `_duplicates`, `_failed`.

    Raises:
        ParameterError: a user without an amount, an amount without a user, or an entry that did not fail.
    """
    entries = [*_refunds(wish, duplicates), *_retries(wish, failed), *_settled(wish, balances), *_asked(wish)]
    if not entries:
        return None
    _alone(wish, entries)
    accounts, left_out, targets = _Accounts(database, books), dict[str, str](), []
    if why := _against(database, books):
        left_out = {entry.name: why for entry in entries}
        entries = []
    for entry in entries:
        made = _target(entry, books, accounts)
        if isinstance(made, Target):
            targets.append(made)
        else:
            left_out[entry.name] = made
    return Draft(
        kind="credit",
        title=f"write {len(targets)} entr{'y' if len(targets) == 1 else 'ies'} into the ledger of credits",
        targets=tuple(targets),
        risk=Risk.HIGH,
        blast="these users see another balance and the entry with its reason; nobody else notices anything",
        numbers={"entries": len(targets), "users": len({str(t.identity["owner"]) for t in targets})},
        not_undoable=(_FINAL,),
        left_out=left_out,
    )


class Credits(Kind):
    """The kind of change: looks at one account and one entry."""

    LOCK: ClassVar[str] = "database"
    CHAINED: ClassVar[bool] = False
    PATIENCE_S: ClassVar[float] = 5.0

    def observe(self, target: Target) -> Observed:
        """Look at the account: balance, ledger; written: the entry is there."""
        names = sql.load("credit_account").params
        found = self._means.database().table("credit_account", **{n: target.identity[n] for n in names})
        if found.empty:
            return Observed({}, text="the account is gone")
        row = found.iloc[0]
        if len(found) != 1:
            raise Malformed(f"{len(found)} accounts of one user")
        values = {"balance": int(row["balance"]), "ledger": int(row["ledger"])}
        text = f"balance {values['balance']}, ledger {values['ledger']}"
        return Observed({**values, "written": bool(row["written"])}, text=text)


KIND = Credits


def _refunds(wish: Wish, found: pd.DataFrame) -> Iterator[_Entry]:
    for row in found.to_dict("records") if wish.refund else ():
        delta = -_signed(row)
        note = f"refund: entry {row['entry']} was the same request as {row['original']}"
        yield _Entry(f"{_REFUND}{row['entry']}", str(row["owner"]), delta, note)


def _retries(wish: Wish, found: pd.DataFrame) -> Iterator[_Entry]:
    rows = {str(row["entry"]): row for row in found.to_dict("records")}
    things: set[tuple[str, ...]] = set()
    for key in wish.retry:
        if key not in rows:
            raise ParameterError(f"retry: {key!r} is no entry that failed and was not made good")
        row = rows[key]
        if row["doubtful"]:
            raise ParameterError(
                f"retry: {key!r} has no reference, and an entry like it followed: it may be made good",
                hint="ask the user; if it is not, correct their balance by `user` and `by`",
            )
        thing = tuple(str(row[name]) for name in ("owner", "type", "amount", "reason", "reference"))
        if thing in things:
            raise ParameterError(f"retry: {key!r} failed for the same thing as another one: name one of them")
        things.add(thing)
        yield _Entry(
            f"opslib:retry:{key}", str(row["owner"]), _signed(row), f"entry {key} again: {row['reason']}"
        )


def _settled(wish: Wish, found: pd.DataFrame) -> Iterator[_Entry]:
    for row in found.to_dict("records") if wish.settle else ():
        drift, owner = int(row["drift"]), str(row["owner"])
        if drift:
            name = f"opslib:settle:{owner}:{row['ledger']}:{row['balance']}"
            # Who was wrong nobody can tell from the figures, and the note stays for ever.
            note = f"settled: ledger {row['ledger']}, balance {row['balance']}"
            yield _Entry(name, owner, drift, note, on_balance=False)


def _asked(wish: Wish) -> Iterator[_Entry]:
    if bool(wish.user) != bool(wish.by):
        raise ParameterError("user and by belong together", hint="whose balance, and by how many credits")
    if wish.user:
        yield _Entry(f"{_BY_HAND}{wish.user}", wish.user, wish.by, "correction by hand")


def _alone(wish: Wish, entries: Sequence[_Entry]) -> None:
    """See that a correction by hand does not make good what another entry of the plan makes good, too."""
    others = [entry for entry in entries if entry.owner == wish.user and not entry.name.startswith(_BY_HAND)]
    if wish.user and others:
        raise ParameterError(
            f"user: {wish.user} has other entries in the same plan: {others[0].note}",
            hint="plan the one or the other: give refund=false, or leave out user and by",
        )


def _against(database: Asked, books: Books) -> str:
    """Return why no entry can be written safely, or nothing."""
    schema, name = books.names["ledger"]
    found = database.table("unique_columns", schema=schema, name=name)
    if reason := frames.reason(found):
        return reason
    if books.names["request"] in set(found["column_name"]):
        return ""
    return f"{name}.{books.names['request']} needs a unique index, or an entry could be written twice"


def _target(entry: _Entry, books: Books, accounts: _Accounts) -> Target | str:
    """Return the target of one entry, or why there is none."""
    seen = accounts.of(entry.owner)
    if seen is None:
        return f"there is no account of {entry.owner}"
    (balance, ledger), delta = seen, entry.delta
    if entry.name.startswith(_REFUND) and balance != ledger:
        return (
            f"balance {balance} and ledger {ledger} differ: settle first, or the refund may be one too many"
        )
    added = delta if entry.on_balance else 0
    if added < 0 and balance + added < books.low:
        return f"the balance of {balance} would fall below {books.low}"
    name = entry.name
    if name.startswith(_BY_HAND):
        name = f"{name}:{balance}:{delta:+d}"  # the same correction of the same balance is the same one
    accounts.known[entry.owner] = (balance + added, ledger + delta)
    act = Statement(
        "credit_entry",
        {
            **books.fitting("credit_entry"), "owner": entry.owner, "entry": name, "note": entry.note,
            "delta": delta, "on_balance": added, "seen_balance": balance, "seen_ledger": ledger,
        },
    )  # fmt: skip
    return Target(
        name=f"{entry.owner}: {entry.note}",
        identity={**books.fitting("credit_entry"), "owner": entry.owner, "entry": name},
        before={"balance": balance, "ledger": ledger, "written": False},
        after={"balance": balance + added, "ledger": ledger + delta, "written": True},
        act=act,
        effect=f"their balance is {balance + added}" if added else "their balance stays as it is",
    )


def _signed(row: Mapping[Any, Any]) -> int:
    amount = int(row["amount"])
    return amount if row["type"] == CREDIT else -amount
