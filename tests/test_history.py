"""Earlier runs are found by what they were, quickly, whatever stands in the archive."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib.archive import asking
from opslib.archive.asking import Filters
from opslib.archive.choosing import chosen, moment
from opslib.archive.index import Index
from opslib.errors import UnknownName, UsageError
from tests import kept, shop
from tests.kept import NOW, keep
from tests.test_cli import Shell

DAY = timedelta(days=1)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Four runs that differ in everything that can be asked for."""
    keep(tmp_path, "0-oldest", 9 * DAY, procedure="locks", **kept.cause("lock-storm"), verdict="critical")
    keep(tmp_path, "1-sandbox", 8 * DAY, environment="sandbox", actor="bo")
    keep(tmp_path, "2-klutr", 2 * DAY, system="klutr", trigger="schedule", actor="schedule:daily")
    keep(tmp_path, "3-newest", DAY, verdict="warning")
    return tmp_path


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Command lines, in a project of the test's own that has an archive."""
    (tmp_path / "project").mkdir()
    shop.build(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    return Shell(capsys)


def found(archive: Path, **asked: Any) -> list[str]:
    """Return the ids of the runs found, the newest first."""
    return [run["run_id"] for run in Index(archive).find(**asked)]


@pytest.mark.parametrize("most_sorted", [0, 1_000_000])
@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ({}, ["3-newest", "2-klutr", "1-sandbox", "0-oldest"]),
        ({"procedure": "locks"}, ["0-oldest"]),
        ({"procedure": "site-down", "system": "kulti"}, ["3-newest", "1-sandbox"]),
        ({"environment": "sandbox"}, ["1-sandbox"]),
        ({"verdict": "ok"}, ["2-klutr", "1-sandbox"]),
        ({"cause": "lock-storm"}, ["0-oldest"]),
        ({"trigger": "schedule"}, ["2-klutr"]),
        ({"actor": "bo"}, ["1-sandbox"]),
        ({"actor": "nobody"}, []),
        ({"since": (NOW - 2 * DAY).isoformat()}, ["3-newest", "2-klutr"]),
        ({"until": (NOW - 2 * DAY).isoformat()}, ["1-sandbox", "0-oldest"]),
        ({"verdict": "ok", "since": (NOW - 5 * DAY).isoformat()}, ["2-klutr"]),
        ({"verdict": "ok", "until": (NOW - 5 * DAY).isoformat()}, ["1-sandbox"]),
        ({"limit": 2}, ["3-newest", "2-klutr"]),
        ({"before": "2-klutr"}, ["1-sandbox", "0-oldest"]),
        ({"before": "3-newest", "verdict": "ok", "limit": 1}, ["2-klutr"]),
        ({"before": "3-newest", "since": (NOW - 5 * DAY).isoformat()}, ["2-klutr"]),
        ({"before": "0-oldest"}, []),
        ({"verdict": "ok", "limit": 1}, ["2-klutr"]),
    ],
)
def test_every_filter_finds_its_runs_the_newest_first(
    archive: Path, monkeypatch: pytest.MonkeyPatch, most_sorted: int, asked: dict[str, Any], runs: list[str]
) -> None:
    """Whether few runs are sorted or many walked, the answer is the same."""
    monkeypatch.setattr(asking, "MOST_SORTED", most_sorted)
    assert found(archive, **asked) == runs


def test_an_index_tells_which_values_can_be_asked_for(archive: Path) -> None:
    """A person who chooses from a list does not mistype a name."""
    known = Index(archive).known()
    assert known["procedure"] == ["locks", "site-down"] and known["environment"] == ["production", "sandbox"]
    assert known["actor"] == ["ana", "bo", "schedule:daily"] and known["cause"] == ["lock-storm"]


def test_an_index_says_whether_all_records_have_to_be_read_first(archive: Path) -> None:
    """Whoever serves others does not let them wait for it."""
    assert Index(archive).ready()
    (archive / "index.sqlite").write_bytes(b"no index")
    assert not Index(archive).ready()
    assert len(found(archive)) == 4 and Index(archive).ready()


def test_a_filter_that_does_not_exist_is_an_error_and_not_no_filter(archive: Path) -> None:
    """A misspelt name would show runs of every system as those of one."""
    with pytest.raises(TypeError):
        found(archive, sytem="kulti")


def test_runs_of_one_millisecond_are_all_kept(tmp_path: Path) -> None:
    """A suite starts several at once."""
    for number in range(5):
        keep(tmp_path, f"run-{number}")
    assert sorted(found(tmp_path)) == [f"run-{number}" for number in range(5)]
    assert Index(tmp_path).rebuild() == 5


def test_verdicts_are_counted_by_what_is_asked_for(archive: Path) -> None:
    """Rates are made of them."""
    index = Index(archive)
    assert index.counts() == {"ok": 2, "warning": 1, "critical": 1}
    assert index.counts(system="kulti", since=(NOW - 8 * DAY).isoformat()) == {"ok": 1, "warning": 1}


def plans(archive: Path, filters: Filters) -> Iterator[str]:
    """Yield the steps by which SQLite answers a question."""
    with closing(sqlite3.connect(archive / "index.sqlite")) as database:
        for query, values in (asking.newest(database, filters), asking.counting(filters)):
            steps = database.execute(f"explain query plan {query}", {**values, "limit": 20})
            yield from (step[3] for step in steps)


@pytest.mark.parametrize("most_sorted", [0, 1_000_000])
@pytest.mark.parametrize("name", [*asking.KIND, "since", "until"])
def test_no_question_reads_the_runs_themselves(
    archive: Path, monkeypatch: pytest.MonkeyPatch, most_sorted: int, name: str
) -> None:
    """Among a million runs, only an index that holds all that is asked for is quick enough."""
    monkeypatch.setattr(asking, "MOST_SORTED", most_sorted)
    value = NOW.isoformat() if name in ("since", "until") else "ok"
    steps = list(plans(archive, Filters(**{name: value})))
    of_runs = [step for step in steps if " run " in f"{step} "]
    assert of_runs and all("COVERING INDEX" in step for step in of_runs), steps


def test_what_many_have_in_common_is_walked_from_its_newest_run_on(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are all of them sorted, nor is anything newer looked at."""
    monkeypatch.setattr(asking, "MOST_SORTED", 0)
    steps = list(plans(archive, Filters(verdict="ok")))
    assert "SEARCH run USING COVERING INDEX run_by_time (id<?)" in steps[0]


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("latest", "3-newest"),
        ("latest ok", "2-klutr"),
        ("latest critical locks", "0-oldest"),
        ("latest site-down kulti sandbox", "1-sandbox"),
        ("latest ok site-down kulti", "1-sandbox"),
        ("0-o", "0-oldest"),
    ],
)
def test_a_run_is_named_by_what_it_was(archive: Path, name: str, run: str) -> None:
    """Nobody knows ids by heart."""
    assert Index(archive).get(name)["run_id"] == run


@pytest.mark.parametrize("name", ["latest unknown", "latest ok locks", "latest a b c d", "\udcff", ""])
def test_a_name_that_fits_no_run_is_said(archive: Path, name: str) -> None:
    """Whatever a terminal made of it."""
    with pytest.raises(UnknownName):
        Index(archive).get(name)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", NOW - 7 * DAY),
        ("12h", NOW - DAY / 2),
        ("2w", NOW - 14 * DAY),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T03:04", datetime(2026, 11, 20, 3, 4, tzinfo=UTC)),
        ("2026-11-20T03:04+01:00", datetime(2026, 11, 20, 2, 4, tzinfo=UTC)),
    ],
)
def test_a_moment_is_said_as_a_person_says_it(text: str, meant: datetime) -> None:
    """Days back, or a date; without an offset it is UTC, as in all that is shown."""
    assert moment(text, NOW) == meant


def test_until_a_day_is_until_its_end() -> None:
    """Who says until Friday means Friday too."""
    assert moment("2026-11-20", NOW, end=True) == datetime(2026, 11, 21, tzinfo=UTC)
    asked = chosen(NOW, since="2026-11-20", until="2026-11-20")
    assert asked["since"] < asked["until"]


@pytest.mark.parametrize("text", ["yesterday", "7", "2026-13-01", "", "999999w", "-1d", "7d; drop table run"])
def test_what_is_no_moment_is_said_with_examples(text: str) -> None:
    """Guessing would show the wrong runs."""
    with pytest.raises(UsageError) as raised:
        moment(text, NOW)
    assert "7d" in raised.value.hint


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    """An empty answer would look like a quiet week."""
    with pytest.raises(UsageError, match="later than"):
        chosen(NOW, since="1d", until="7d")


def test_history_takes_all_filters_and_tells_them_as_one_object(archive: Path, opslib: Shell) -> None:
    """People and programs ask the same way."""
    assert opslib("history", "--cause", "lock-storm", "--until", "2026-11-20", "--json") == 0
    told = json.loads(opslib.out)
    assert [run["run_id"] for run in told["runs"]] == ["0-oldest"] and told["unreadable"] == []
    assert opslib("history", "site-down", "--trigger", "schedule", "--actor", "schedule:daily") == 0
    assert "2-klutr" in opslib.out and "3-newest" not in opslib.out
    assert opslib("history", "--since", "someday") == 64 and "7d" in opslib.err


def test_a_record_that_cannot_be_read_is_named_beside_the_others(archive: Path, opslib: Shell) -> None:
    """One damaged file neither hides itself nor the rest."""
    bad = keep(archive, "4-bad") / "run.json"
    bad.write_text("{", encoding="utf-8")
    Index(archive).rebuild()
    assert opslib("history") == 0
    assert "3-newest" in opslib.out and "4-bad" not in opslib.out
    assert str(bad) in opslib.err
