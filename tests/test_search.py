"""Runs are found by words; whatever a person types is looked for and never obeyed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opslib.archive import texts
from opslib.archive.index import Index
from opslib.errors import UsageError
from tests import kept, pages, shop
from tests.kept import found, keep
from tests.test_cli import Shell
from tests.test_history import DAY

REFUSED = "FATAL: sorry, too many clients already"
ODD = [
    '"', 'a" b', 'a "b', "''", '"" OR 1', "a AND", "NOT", "NEAR(", "*", "^x", "cause:", "-x", "{cause}:x",
    "(", "a\x00b", "\udcff", "marks : x", "x' --", "…", "😀", "a" * 100_000, "%", "\\", "\x02", "\n",
]  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three runs whose words stand in different places."""
    keep(
        tmp_path, "0-cause", 3 * DAY, verdict="critical", **kept.cause("lock-storm", "sessions wait for one")
    )
    row = found("pool", "warning", subject="klutr-api", observed="41 sessions", why="they are not returned")
    keep(tmp_path, "1-finding", 2 * DAY, verdict="warning", findings=[row], system="klutr")
    shown = [
        pages.stream(f"{REFUSED}\n\x1b[31mreplica\x1b[0m lag\n"),
        pages.shown(text_html="<table><td>h&uuml;bsch</td></table><script>hidden()</script>"),
        pages.shown(text_plain="plain", text_html="<b>marked</b>"),
        pages.error("OperationalError", "terminating connection", "frame 1"),
    ]
    keep(tmp_path, "2-output", DAY, cells=[pages.code("secret_code()", *shown)])
    return tmp_path


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Command lines, in a project of the test's own that has an archive."""
    (tmp_path / "project").mkdir()
    shop.build(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    return Shell(capsys)


def hits(archive: Path, *words: str, **asked: Any) -> list[tuple[str, str]]:
    """Return run and place of each hit, the newest first."""
    return [(hit.document["run_id"], hit.where) for hit in Index(archive).search(words, **asked)]


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("lock-storm",), ("0-cause", "cause")),
        (("LOCK", "wait"), ("0-cause", "cause")),
        (("klutr-api",), ("1-finding", "findings")),
        (("returned", "41"), ("1-finding", "findings")),
        ((REFUSED,), ("2-output", "output")),
        (("replica lag",), ("2-output", "output")),
        (("client",), ("2-output", "output")),
        (("hubsch",), ("2-output", "output")),
        (("OperationalError: terminating",), ("2-output", "output")),
    ],
)
def test_words_are_found_where_they_stand(
    archive: Path, words: tuple[str, ...], where: tuple[str, str]
) -> None:
    """In causes, findings and outputs; in any case and form, a phrase in its order."""
    assert hits(archive, *words) == [where]


@pytest.mark.parametrize(
    "words", ["already clients", "secret_code", "hidden", "marked", "frame", "m0", "31mreplica", "zebra"]
)
def test_what_was_not_said_is_not_found(archive: Path, words: str) -> None:
    """Neither code nor tags nor colours, nor the words of a phrase in another order."""
    assert hits(archive, words) == []


def test_the_newest_run_comes_first_and_filters_hold(archive: Path) -> None:
    """As in `history`."""
    assert hits(archive, "sessions") == [("1-finding", "findings"), ("0-cause", "cause")]
    assert hits(archive, "sessions", limit=1) == [("1-finding", "findings")]
    assert hits(archive, "sessions", system="kulti") == [("0-cause", "cause")]
    assert hits(archive, "sessions", cause="lock-storm", verdict="critical") == [("0-cause", "cause")]
    assert hits(archive, "sessions", until=(kept.NOW - 2 * DAY).isoformat()) == [("0-cause", "cause")]
    assert hits(archive, "sessions", since=(kept.NOW - 2 * DAY).isoformat()) == [("1-finding", "findings")]
    assert hits(archive, "sessions", before="1-finding") == [("0-cause", "cause")]
    assert hits(archive, "sessions", actor='" OR "') == []


def test_a_snippet_says_where_in_it_the_words_are(archive: Path) -> None:
    """A program can mark them; no mark stands in the text itself."""
    (hit,) = Index(archive).search(["too many", "clients"])
    assert {hit.snippet[begin:end] for begin, end in hit.marked} == {"too many", "clients"} or {
        hit.snippet[begin:end] for begin, end in hit.marked
    } == {"too many clients"}
    assert texts.BEGIN not in hit.snippet and texts.END not in hit.snippet


@pytest.mark.parametrize("word", ODD, ids=range(len(ODD)))
def test_odd_words_are_looked_for_or_refused_in_a_sentence(archive: Path, word: str) -> None:
    """A pasted line with quotes and stars is no command to the index."""
    try:
        hits(archive, word)
        hits(archive, word, "sessions")
    except UsageError as error:
        assert "no letter and no digit" in error.message and "opslib search" in error.hint


def test_words_that_mean_something_to_the_index_are_words_here(tmp_path: Path) -> None:
    """`NOT` finds runs that say not, and excludes nothing."""
    keep(tmp_path, "says-not", findings=[found("locks", observed="not one OR two")])
    keep(tmp_path, "other", findings=[found("locks", observed="two")])
    assert hits(tmp_path, "NOT", "two") == [("says-not", "findings")]
    assert hits(tmp_path, "one", "OR", "two") == [("says-not", "findings")]
    assert hits(tmp_path, 'one" OR "two') == [("says-not", "findings")]
    assert hits(tmp_path, "tw*") == [] and hits(tmp_path, "findings: two") == []


def test_the_index_of_words_is_made_again_from_the_records(archive: Path) -> None:
    """Nothing is kept only there."""
    before = hits(archive, "sessions")
    (archive / "index.sqlite").unlink()
    assert hits(archive, "sessions") == before
    assert Index(archive).rebuild() == 3 and hits(archive, "sessions") == before


def test_an_index_of_an_earlier_version_is_made_anew_by_itself(archive: Path) -> None:
    """Whoever upgrades finds old runs by words too."""
    with closing(sqlite3.connect(archive / "index.sqlite")) as database:
        database.execute("delete from words")
        database.execute("pragma user_version = 1")
        database.commit()
    assert hits(archive, REFUSED) == [("2-output", "output")]


def test_a_notebook_that_cannot_be_read_is_named_and_its_findings_are_still_found(archive: Path) -> None:
    """Half of what is known is better than nothing, if it is said."""
    notebook = next(archive.glob("runs/*/*/*/1-finding/run.ipynb"))
    for damage in (b"{", b'"text"', b'{"cells": [3]}', b'{"cells": 7}', b"[" * 100_000):
        notebook.write_bytes(damage)
        assert Index(archive).rebuild() == 3
        assert [path for path, _ in Index(archive).unreadable()] == [notebook]
        assert hits(archive, "klutr-api") == [("1-finding", "findings")]


@pytest.mark.parametrize(
    "damage",
    ["{}", "[]", "3", '{"predicate": 1}', "findings", "started_at", "causes", "run_id", "parameters", "gone"],
)
def test_a_damaged_statement_is_named_and_stops_nothing(archive: Path, damage: str) -> None:
    """Whatever is wrong with it, the others are found."""
    path = next(archive.glob("runs/*/*/*/0-cause/run.json"))
    whole = kept.statement(path.parent)
    told = whole["predicate"]
    external, meta = told["runDefinition"]["externalParameters"], told["runDetails"]["metadata"]
    broken: dict[str, Any] = {
        "findings": lambda: told.update(findings=[{"check": 7}]),
        "started_at": lambda: meta.update(startedOn="once"),
        "causes": lambda: told.update(causes=["x"]),
        "run_id": lambda: meta.update(invocationId=7),
        "parameters": lambda: external.update(parameters=[1]),
    }
    if damage in broken:
        broken[damage]()
    path.write_text(json.dumps(whole) if damage in broken else damage, encoding="utf-8")
    if damage == "gone":
        path.unlink()
        path.mkdir()
    assert Index(archive).rebuild() == 2
    ((named, why),) = Index(archive).unreadable()
    assert named == path and why
    assert hits(archive, "sessions") == [("1-finding", "findings")]


def test_a_damaged_record_that_was_moved_away_is_not_named_any_more(archive: Path, tmp_path: Path) -> None:
    """That is what the message asks for."""
    path = next(archive.glob("runs/*/*/*/0-cause/run.json"))
    path.write_text("{", encoding="utf-8")
    Index(archive).rebuild()
    path.parent.rename(tmp_path / "aside")
    assert Index(archive).unreadable() == []


def test_search_marks_its_hits_and_says_when_there_are_none(archive: Path, opslib: Shell) -> None:
    """Without colours they stand between » and «."""
    assert opslib("search", "too many", "clients") == 0
    assert "»too many«" in opslib.out or "»too many clients«" in opslib.out
    assert "2-output" in opslib.out and "\x1b" not in opslib.out
    assert opslib("search", "zebra") == 0 and opslib.out == "No run that is kept says that.\n"
    assert opslib("search") == 64 and opslib("search", "", "--") == 64
    assert opslib("search", "pool", "--verdict", "warning", "--json") == 0
    (hit,) = json.loads(opslib.out)["hits"]
    assert hit["run_id"] == "1-finding" and hit["marked"]


def test_what_a_finding_says_cannot_move_the_cursor(tmp_path: Path, opslib: Shell) -> None:
    """Text from elsewhere is shown, not obeyed."""
    keep(tmp_path, "x", findings=[found("\u202ecalm needle", why="\x1b[2J\u202eevil\x07 [bold]")])
    assert opslib("search", "needle") == 0
    assert not {"\x1b", "\u202e", "\x07"} & set(opslib.out) and "[bold]" in opslib.out
