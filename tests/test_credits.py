"""Credits of users: what is wrong is told apart, and corrected by entries that are written once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config, frames
from opslib.changes import credit
from opslib.checks import credits
from opslib.checks.credits import Books
from opslib.errors import ParameterError
from opslib.gate import faults
from opslib.pg import sql
from opslib.sandbox import control
from opslib.verdict import Status
from tests.acting import ROOT, Case, applied, perform, planned, ready, states

SYSTEM = "kulti"
TWICE = Case("credits", "credit-duplicate", SYSTEM)
CHANGED = Case("credits", "ledger-mismatch", SYSTEM, {"settle": True})
CLOSED = "door direct: nothing listens there"


@pytest.fixture
def archive(signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An archive in the running sandbox, and a key to approve with."""
    ready(monkeypatch, tmp_path)
    yield tmp_path


@contextmanager
def admin() -> Iterator[psycopg.Connection[Any]]:
    """A session of the administrator in the running sandbox."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"], autocommit=True) as connection:
        yield connection


def written() -> list[tuple[str, int, str]]:
    """Return the entries that opslib wrote."""
    query = (
        b"select idempotency_key, amount, type from credit_transactions where idempotency_key like 'opslib:%'"
    )
    with admin() as connection:
        return [(str(a).split(":")[1], b, c) for a, b, c in connection.execute(query).fetchall()]


def rows(name: str, *given: dict[str, Any]) -> pd.DataFrame:
    """Return a statement's answer; what a row does not name is None."""
    columns = [column.name for column in sql.load(name).returns]
    return pd.DataFrame([{**dict.fromkeys(columns), **row} for row in given], columns=columns)


def absent(name: str) -> pd.DataFrame:
    """Return a statement's frame when nobody answered."""
    return frames.unavailable([column.name for column in sql.load(name).returns], CLOSED)


def test_a_double_charge_is_refunded_once_however_often_it_is_killed_and_applied(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the act and before the outcome: looking tells that the entry is there."""
    control.break_(TWICE.scenario, SYSTEM)
    document = planned(TWICE, archive)
    assert (document["verdict"], written()) == ("critical", [])
    monkeypatch.setenv(faults.VARIABLE, "after-act")
    assert applied(TWICE, document, archive)["cause"]["id"] == "kernel-died"
    monkeypatch.delenv(faults.VARIABLE)
    after = applied(TWICE, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"])
    assert states(applied(TWICE, document, archive)) == ["already done"]
    assert written() == [("refund", 15, "credit")]


def test_a_missing_entry_is_written_and_the_balance_stays(archive: Path) -> None:
    """The user keeps what they see; the ledger says why."""
    control.break_(CHANGED.scenario, SYSTEM)
    document = planned(CHANGED, archive)
    after = applied(CHANGED, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"])
    assert written() == [("settle", 70, "credit")]
    with admin() as connection:
        query = b"select reason from credit_transactions where starts_with(idempotency_key, 'opslib:settle')"
        noted = connection.execute(query).fetchone()
    assert noted and re.fullmatch(r"settled: ledger -?\d+, balance \d+", noted[0]), "figures, and no blame"


def test_an_entry_that_was_written_twice_is_named_as_the_reason(archive: Path) -> None:
    """Nobody has changed a balance there, and whoever is asked for it looks in the wrong place."""
    control.break_("duplicate-rows", SYSTEM)
    told = perform("credits", SYSTEM, archive)
    assert told["cause"]["id"] == "ledger-entry-twice", told["causes"]
    assert told["next"][0]["procedure"] == "duplicates-and-integrity"


def test_an_account_in_which_something_happened_since_is_left_out(archive: Path) -> None:
    """The balance that was approved is not the balance that is there."""
    control.break_(TWICE.scenario, SYSTEM)
    document = planned(TWICE, archive)
    with admin() as connection:
        connection.execute(
            b"update credits set balance = balance + 1 where user_id in (select user_id from"
            b" credit_transactions where idempotency_key like 'rehearsal:%')"
        )
    after = applied(TWICE, document, archive)
    assert (after["verdict"], states(after), written()) == ("critical", ["left out"], [])


def test_one_account_is_corrected_by_hand_and_the_same_price_twice_is_no_duplicate(archive: Path) -> None:
    """Two sessions of one price on one evening are an honest repeat."""
    control.break_("credit-negative", SYSTEM)
    with admin() as connection:
        found = connection.execute(b"select user_id::text, balance from credits where balance < 0").fetchone()
        assert found
        connection.execute(
            b"insert into credit_transactions (user_id, amount, type, reason, session_id, idempotency_key)"
            b" select %s, 5, 'credit', 'same price', id, 'rehearsal:' || id from sessions limit 2",
            [found[0]],
        )
        connection.execute(b"update credits set balance = balance + 10 where user_id = %s", [found[0]])
    case = Case("credits", "credit-negative", SYSTEM, {"user": found[0], "by": 100 - found[1]})
    document = planned(case, archive)
    assert [found["check"] for found in document["findings"] if found["status"] == "critical"] == [
        "negative balances"
    ]
    after = applied(case, document, archive)
    assert (after["verdict"], states(after)) == ("ok", ["done"])


@pytest.mark.parametrize(
    "given",
    [
        {"user": "'; drop table credits; --", "by": 5},
        {"user": "00000000-0000-0000-0000-000000000000", "by": 5},
        {"retry": ["1 or true"]},
    ],
)
def test_sql_in_a_parameter_and_people_who_are_not_there_change_nothing(
    sandbox: object, tmp_path: Path, given: dict[str, Any]
) -> None:
    """Values are bound, and an account that is not found is no target."""
    document = perform("credits", SYSTEM, tmp_path, **given)
    assert document["plan"] is None
    assert written() == []


def test_a_user_without_an_amount_is_refused() -> None:
    """Half a wish is none."""
    none = rows("credit_balances")
    books = credits.books(config.load_system(SYSTEM, ROOT))
    with pytest.raises(ParameterError, match="user and by belong together"):
        credit.draft(Answers(), books, credit.Wish(user="x"), balances=none, duplicates=none, failed=none)


def test_a_system_that_does_not_say_where_its_credits_are_is_told_which_keys_are_missing() -> None:
    """Names of tables are never guessed."""
    with pytest.raises(ParameterError, match="klutr does not say where its credits are: credits, credit_tr"):
        credits.books(config.load_system("klutr", ROOT))


class Answers:
    """A database that answers from frames."""

    def __init__(self, **frames_by_name: pd.DataFrame) -> None:
        self._frames = frames_by_name

    def table(self, name: str, /, **params: Any) -> pd.DataFrame:
        """Return the frame of that name."""
        return self._frames[name]


FACTS = {"key": "id", "time_indexed": False, "readable": True, "hidden": False, "rows_estimate": 5}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([{**FACTS, "hidden": True}], "may not see the rows of credits"),
        ([{**FACTS, "readable": False}], "may not see the rows of credits"),
        ([], "there is no table public.credits"),
    ],
)
def test_rows_that_our_role_may_not_see_are_unknown(facts: list[dict[str, Any]], said: str) -> None:
    """An empty ledger has no duplicates, and proves nothing."""
    books = credits.books(config.load_system(SYSTEM, ROOT))
    database = Answers(table_facts=rows("table_facts", *facts))
    found = credits.duplicates(books.ask(database, "credit_duplicates", days=1, apart=1))
    assert found.status is Status.UNKNOWN and said in found.why


def test_a_source_that_refuses_is_unknown() -> None:
    """Every check of the page."""
    found = credits.totals(absent("credit_totals"), absent("credit_balances"))
    found += [credits.duplicates(absent("credit_duplicates")), credits.failed(absent("credit_failed"))]
    found += [credits.refunded(absent("credit_refunded_twice"))]
    assert {(one.status, one.why) for one in found} == {(Status.UNKNOWN, CLOSED)}


def test_without_a_single_account_nobody_knows_that_all_are_well() -> None:
    """An app with users has accounts."""
    counted = rows("credit_totals", {"accounts": 0, "negative": 0, "absurd": 0, "drifting": 0})
    (found,) = credits.totals(counted, rows("credit_balances"))
    assert found.status is Status.UNKNOWN


def test_each_fault_has_its_own_cause_and_names_accounts() -> None:
    """A negative balance is another matter than one that the ledger does not know."""
    counted = rows("credit_totals", {"accounts": 9, "negative": 1, "absurd": 1, "drifting": 0})
    seen = rows(
        "credit_balances",
        {"owner": "ada", "balance": -5, "ledger": -5, "drift": 0},
        {"owner": "ben", "balance": 99999, "ledger": 99999, "drift": 0, "absurd": True},
    )
    found = {one.check: one for one in credits.totals(counted, seen)}
    assert found["negative balances"].cause is credits.NEGATIVE
    assert found["negative balances"].why == "ada: balance -5, ledger -5"
    assert found["absurd balances"].status is Status.WARNING
    assert found["ledger"].status is Status.OK


def drafted(wish: credit.Wish, balance: int, *, unique: bool = True, **frames_by_name: pd.DataFrame) -> Any:
    """Return the draft for one user with that balance, and the ledger to match."""
    books = credits.books(config.load_system(SYSTEM, ROOT))
    keys = rows("unique_columns", {"column_name": "idempotency_key" if unique else "id"})
    account = rows("credit_account", {"balance": balance, "ledger": balance, "written": False})
    facts = rows("table_facts", FACTS)
    database = Answers(unique_columns=keys, credit_account=account, table_facts=facts)
    given = {name: rows(f"credit_{name}") for name in ("balances", "duplicates", "failed")} | frames_by_name
    return credit.draft(database, books, wish, **given)


FAILED = {"entry": "7", "owner": "ada", "amount": 30, "type": "debit", "reason": "session"}


def test_a_failed_debit_is_made_good_only_where_the_balance_covers_it() -> None:
    """A repair must not make the next fault."""
    wish, failed = credit.Wish(retry=["7"]), rows("credit_failed", FAILED)
    fine = drafted(wish, 100, failed=failed)
    assert fine.targets[0].act.params["delta"] == -30
    poor = drafted(wish, 10, failed=failed)
    assert poor.targets == () and "would fall below 0" in str(poor.left_out)


def test_two_entries_of_one_user_follow_each_other() -> None:
    """The second is written onto what the first leaves."""
    twice = rows(
        "credit_duplicates",
        {"entry": "2", "original": "1", "owner": "ada", "amount": 30, "type": "debit"},
        {"entry": "4", "original": "3", "owner": "ada", "amount": 20, "type": "debit"},
    )
    found = drafted(credit.Wish(), 100, duplicates=twice)
    assert [target.after["balance"] for target in found.targets] == [130, 150]
    assert [target.before["balance"] for target in found.targets] == [100, 130]


def test_nothing_is_made_good_twice_in_one_plan() -> None:
    """Nor is a refund given where the balance was never charged."""
    again = {**FAILED, "entry": "8"}
    with pytest.raises(ParameterError, match="retry: '8' failed for the same thing"):
        drafted(credit.Wish(retry=["7", "8"]), 100, failed=rows("credit_failed", FAILED, again))
    twice = rows(
        "credit_duplicates", {"entry": "2", "original": "1", "owner": "ada", "amount": 30, "type": "debit"}
    )
    with pytest.raises(ParameterError, match="user: ada has other entries in the same plan"):
        drafted(credit.Wish(user="ada", by=30), 100, duplicates=twice)


def test_what_may_be_made_good_already_is_not_repeated_by_its_name() -> None:
    """A person who knows better corrects that one balance, and says so."""
    doubtful = rows("credit_failed", {**FAILED, "doubtful": True})
    with pytest.raises(ParameterError, match="'7' has no reference, and an entry like it followed"):
        drafted(credit.Wish(retry=["7"]), 100, failed=doubtful)


def test_without_a_unique_index_nothing_is_planned() -> None:
    """Twice at the same moment would be two entries."""
    found = drafted(credit.Wish(user="ada", by=5), 100, unique=False)
    assert found.targets == () and "needs a unique index" in str(found.left_out)


def test_books_never_hold_a_name_that_the_file_does_not_have() -> None:
    """The statements get names, never text."""
    books: Books = credits.books(config.load_system(SYSTEM, ROOT))
    assert books.names["request"] == "idempotency_key" and (books.low, books.high) == (0, 10000)
