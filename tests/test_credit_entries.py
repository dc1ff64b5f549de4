"""Which entries of a ledger count as failed or charged twice, as a real server answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import psycopg
import pytest

from opslib import config
from opslib.checks import credits
from opslib.pg import Database
from opslib.verdict import Finding, Status
from tests.acting import ROOT
from tests.answers import administrator, monitor

SYSTEM = "kulti"
AMOUNT = 91_417  # no entry of the sandbox has it
BOOKS = credits.books(config.load_system(SYSTEM, ROOT))
# One entry: how long ago, what it is, whether it names what it was for, and who wrote it.
Entry = tuple[int, str, str, bool, str]
WRITE = b"""insert into credit_transactions (user_id, amount, type, reason, status, session_id,
    idempotency_key, created_at)
select (select min(user_id::text)::uuid from credits), %s, %s, %s, %s,
    case when %s then (select min(id::text)::uuid from sessions) end, %s, now() - %s * interval '1 second'
returning id::text"""


@pytest.fixture
def ledger(sandbox: object) -> Iterator[psycopg.Connection]:
    """The administrator of a ledger, which is as before afterwards."""
    with administrator(SYSTEM) as admin:
        yield admin
        admin.execute(b"delete from credit_transactions where amount = %s", [AMOUNT])


def write(admin: psycopg.Connection, *entries: Entry) -> list[str]:
    """Write entries and return their keys."""
    keys = []
    for number, (ago, kind, status, named, request) in enumerate(entries):
        reason = "again: a test" if request.startswith("opslib:") else "a test"
        given = [AMOUNT, kind, reason, status, named, request or f"test:{number}", ago]
        row = admin.execute(WRITE, given).fetchone()
        assert row
        keys.append(str(row[0]))
    return keys


def failure(ago: int, *, named: bool = False) -> Entry:
    """An entry that failed so many seconds ago."""
    return (ago, "debit", "failed", named, "")


def success(ago: int, *, named: bool = False, request: str = "") -> Entry:
    """An entry like it that went through."""
    return (ago, "debit", "completed", named, request)


def failed() -> pd.DataFrame:
    """Return the failed entries of the test."""
    with monitor(SYSTEM) as database:
        found = BOOKS.ask(database, "credit_failed", days=1)
    return found[found["amount"].eq(AMOUNT)]


def twice() -> list[str]:
    """Return the keys of what was charged twice."""
    with monitor(SYSTEM) as database:
        found = BOOKS.ask(database, "credit_duplicates", days=1, apart=60)
    return list(found[found["amount"].eq(AMOUNT)]["entry"])


@pytest.mark.parametrize(
    ("entries", "open_", "doubtful"),
    [
        ([failure(50), failure(40)], [0, 1], []),
        ([failure(50), failure(40), success(30)], [0], [1]),
        ([failure(50), success(40), failure(30)], [2], [0]),
        ([failure(50), failure(40), success(30), success(20)], [], [0, 1]),
        ([success(50), success(45), failure(40)], [2], []),
        ([failure(50), success(50)], [], [0]),
    ],
    ids=["none", "one of two", "one before the other", "both", "only before", "at the same moment"],
)
def test_each_later_entry_makes_good_one_failure_without_a_reference_at_most(
    ledger: psycopg.Connection, entries: Sequence[Entry], open_: list[int], doubtful: list[int]
) -> None:
    """Two purchases of one price are told apart by nothing, so that they are counted, and none is hidden."""
    keys = write(ledger, *entries)
    found = failed()
    assert list(found[~found["doubtful"]]["entry"]) == [keys[at] for at in open_]
    assert list(found[found["doubtful"]]["entry"]) == [keys[at] for at in doubtful]


def test_a_failure_that_a_person_made_good_hides_no_other_one_without_a_reference(
    ledger: psycopg.Connection,
) -> None:
    """Opslib's entry names the one failure that it is for."""
    first, second = write(ledger, failure(50), failure(40))
    write(ledger, (10, "debit", "completed", False, f"opslib:retry:{first}"))
    found = failed()
    assert (list(found["entry"]), bool(found["doubtful"].any())) == ([second], False)


@pytest.mark.parametrize("by_hand", [True, False], ids=["by a person", "by the app"])
def test_all_attempts_of_one_request_are_made_good_by_one_that_went_through(
    ledger: psycopg.Connection, by_hand: bool
) -> None:
    """What names the same thing is the same request, however often it was tried."""
    first, _, _ = write(ledger, failure(50, named=True), failure(40, named=True), failure(30))
    request = f"opslib:retry:{first}" if by_hand else "test:again"
    write(ledger, success(10, named=not by_hand, request=request))
    assert list(failed()["reference"].isna()) == [True]


def test_what_failed_after_the_last_one_that_went_through_is_shown(ledger: psycopg.Connection) -> None:
    """An earlier success is no repeat of a later failure."""
    _, later = write(ledger, success(50, named=True), failure(40, named=True))
    assert list(failed()["entry"]) == [later]


def test_failures_in_doubt_are_told_in_words_and_are_no_fault_alone(ledger: psycopg.Connection) -> None:
    """Nobody can know, and nobody shall believe that there was nothing."""
    write(ledger, failure(50), success(40))
    found = credits.failed(failed())
    assert (found.status, found.observed) == (Status.OK, "none, 1 in doubt")
    assert "ask the user" in found.why
    write(ledger, (30, "debit", "failed", False, "test:9"))
    found = credits.failed(failed())
    assert (found.status, found.observed, found.cause) == (
        Status.WARNING, "1 row, 1 in doubt", credits.FAILED,
    )  # fmt: skip
    assert "ask the user" in found.why and "find out why" in found.why


def charge(ago: int) -> Entry:
    """One of several charges for the same thing."""
    return (ago, "debit", "completed", True, "")


def refund(ago: int) -> Entry:
    """What the app itself has given back for it."""
    return (ago, "credit", "completed", True, "")


@pytest.mark.parametrize(
    ("entries", "open_"),
    [
        ([charge(50), charge(48)], [1]),
        ([charge(50), charge(48), refund(40)], []),
        ([charge(50), charge(48), charge(46), refund(40)], [1]),
        ([charge(50), charge(48), charge(46), refund(40), refund(39)], []),
        ([charge(50), charge(48), refund(40), refund(39)], [3]),
        ([refund(60), charge(50), charge(48)], [2]),
        ([charge(3000), charge(2000)], []),
    ],
    ids=["none", "the one", "one of two", "both", "one too often", "only before", "far apart"],
)
def test_each_refund_by_the_app_gives_back_one_charge(
    ledger: psycopg.Connection, entries: Sequence[Entry], open_: list[int]
) -> None:
    """Three charges and one refund are one too many; two refunds for them are no repeat of one another."""
    keys = write(ledger, *entries)
    assert twice() == [keys[at] for at in open_]


def test_a_refund_by_a_person_is_for_the_charge_that_it_names(ledger: psycopg.Connection) -> None:
    """And for no other one."""
    _, second, third = write(ledger, charge(50), charge(48), charge(46))
    write(ledger, (10, "credit", "completed", False, f"opslib:refund:{second}"))
    assert twice() == [third]


def test_credits_of_somebody_whose_account_is_gone_are_found(sandbox: object) -> None:
    """Their entries still say what they own."""
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as database:
        rich = admin.execute(
            "delete from credits where user_id = (select user_id from credits where balance > 0 limit 1)"
            " returning user_id, balance, updated_at"
        ).fetchone()
        assert rich
        try:
            found = {one.check: one for one in judged(database)}
        finally:
            admin.execute("insert into credits values (%s, %s, %s)", rich)
        after = {one.status for one in judged(database)}
    assert (found["ledger"].status, found["ledger"].cause) == (Status.CRITICAL, credits.MISMATCH)
    assert found["ledger"].why == f"{rich[0]}: no account, ledger {rich[1]}"
    assert after == {Status.OK}


def test_an_absurd_balance_is_named_however_many_others_are_a_little_wrong(sandbox: object) -> None:
    """The list has an end, and the one that matters must not fall behind it."""
    with administrator(SYSTEM) as admin, monitor(SYSTEM) as database:
        kept = admin.execute(
            "update credits set balance = balance + 500000"
            " where user_id = (select max(user_id::text)::uuid from credits) returning user_id::text"
        ).fetchone()
        assert kept
        entry = [kept[0], 500_000]
        try:
            insert = "insert into credit_transactions (user_id, amount, type, reason, idempotency_key)"
            admin.execute(f"{insert} values (%s, %s, 'credit', 'a purchase', 'test:absurd')".encode(), entry)
            admin.execute("update credits set balance = balance + 1 where user_id <> %s", entry[:1])
            found = {one.check: one for one in judged(database, rows=3)}
        finally:
            admin.execute("delete from credit_transactions where idempotency_key = 'test:absurd'")
            admin.execute("update credits set balance = balance - 500000 where user_id = %s", entry[:1])
            admin.execute("update credits set balance = balance - 1 where user_id <> %s", entry[:1])
    assert found["absurd balances"].observed.startswith("1 of")
    assert found["absurd balances"].why.startswith(f"{kept[0]}: balance 50")
    assert found["ledger"].why and kept[0] not in found["ledger"].why


def judged(database: Database, rows: int = 100) -> list[Finding]:
    """Return what is said of all balances."""
    seen = BOOKS.ask(database, "credit_balances", high=BOOKS.high, rows=rows)
    return credits.totals(BOOKS.ask(database, "credit_totals", high=BOOKS.high), seen)
