"""What differs between two runs are facts; times and ids are none."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog
from opslib.archive import diff, since
from opslib.archive.diff import Change, steady
from opslib.archive.figures import Figure, figure, limits
from opslib.archive.index import Index
from opslib.masking import Masker
from opslib.runner import page, seal
from opslib.runner.request import Ending
from opslib.runner.since import section
from tests import kept, pages, shop
from tests.kept import NOW, found, keep
from tests.test_cli import Shell
from tests.test_history import DAY

XSS = '<script>alert(1)</script><img src=x onerror="alert(1)">'


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Command lines, in a project of the test's own that has an archive."""
    (tmp_path / "project").mkdir()
    shop.build(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    return Shell(capsys)


def changes(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two runs that are told like that."""
    keep(tmp_path, "before", DAY, **before)
    keep(tmp_path, "after", **after)
    index = Index(tmp_path)
    return diff.compare(index.get("before"), index.get("after")).changes


def brief(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return part, name and kind of what differs."""
    return [(change.part, change.name, change.kind) for change in changes(tmp_path, before, after)]


def test_two_runs_that_say_the_same_do_not_differ(tmp_path: Path) -> None:
    """Another moment, another id, another person: the same facts."""
    row = found("locks", observed="nobody waits")
    assert changes(tmp_path, {"findings": [row]}, {"findings": [row], "actor": "bo", "trigger": "api"}) == ()


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ({"verdict": "ok"}, {"verdict": "critical"}, ("verdict", "verdict", "changed")),
        ({}, kept.cause("lock-storm"), ("cause", "lock-storm", "appeared")),
        (kept.cause("lock-storm"), {}, ("cause", "lock-storm", "gone")),
        ({"parameters": {"a": 1}}, {"parameters": {"a": 2}}, ("parameter", "a", "changed")),
        ({"parameters": {"a": 1}}, {"parameters": {"a": "1"}}, ("parameter", "a", "changed")),
        ({"parameters": {}}, {"parameters": {"a": False}}, ("parameter", "a", "appeared")),
        ({"sha256": "a" * 64}, {"sha256": "b" * 64}, ("code", "notebook", "changed")),
        ({"system": "kulti"}, {"system": "klutr"}, ("system", "system", "changed")),
        ({}, {"changed": [{"target": "x", "state": "done"}]}, ("changed", "x", "appeared")),
        ({}, {"findings": [found("a", subject="b")]}, ("finding", "a: b", "appeared")),
        ({"findings": [found("a")]}, {}, ("finding", "a", "gone")),
    ],
)
def test_every_kind_of_fact_is_compared(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], differs: tuple[str, str, str]
) -> None:
    """What was asked, what came of it, what did it."""
    assert brief(tmp_path, before, after) == [differs]


@pytest.mark.parametrize(
    ("before", "after", "kind", "by"),
    [
        ({"observed": "12 ms"}, {"observed": "15.5 ms"}, "moved", 3.5),
        ({"observed": "1 200 rows"}, {"observed": "900 rows"}, "moved", -300),
        ({"observed": "900 ms"}, {"observed": "1.2 s"}, "changed", None),
        ({"observed": "none"}, {"observed": "3 sessions"}, "changed", None),
        ({"observed": "none for 1 min"}, {"observed": "none for 2 min"}, "moved", None),
        ({"limit": "80 %"}, {"limit": "90 %"}, "changed", None),
        ({"why": "refused"}, {"why": "forbidden"}, "changed", None),
        ({"status": "ok", "observed": "1 s"}, {"status": "warning", "observed": "9 s"}, "changed", 8),
    ],
)
def test_a_value_that_moved_is_told_apart_from_one_that_means_something_else(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], kind: str, by: float | None
) -> None:
    """Response times differ in every run; that is not what a person looks for first."""
    rows = [{**found("a"), **told} for told in (before, after)]
    (change,) = changes(tmp_path, {"findings": rows[:1]}, {"findings": rows[1:]})
    assert (change.kind, change.by) == (kind, by)
    told = {"status": "ok", "observed": "", "limit": "", "why": ""}
    assert (change.before, change.after) == ({**told, **before}, {**told, **after})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("since 2026-11-21 03:04:05 UTC", "since 2026-11-22 04:05:06 UTC"),
        ("at 2026-11-21T03:04:05.123Z", "at 2026-11-22T03:04:05.456+01:00"),
        ("at 03:04", "at 15:16"),
        ("run 019aa4c1-7d3e-7c11-9b7e-2f6f3f1f0a55", "run 019aa4c1-7d3e-7c11-9b7e-2f6f3f1f0a56"),
        ("b4aa52d of 2026-11-20 15:00 UTC serves", "8b10d94 of 2026-11-21 15:00 UTC serves"),
        ("pid 4711 waits", "pid 815 waits"),
    ],
)
def test_times_and_ids_are_no_facts(before: str, after: str) -> None:
    """They differ in every run."""
    assert steady(before) == steady(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [("12 of 97", "13 of 97"), ("1234567", "7654321"), ("deadline", "facade"), ("v1", "v2")],
)
def test_numbers_and_words_are_facts(before: str, after: str) -> None:
    """What looks a little like an id is kept."""
    assert steady(before) != steady(after)


def test_findings_are_paired_without_the_ids_in_their_subjects(tmp_path: Path) -> None:
    """The same session has another number tomorrow; two of a kind stay two."""
    old = [found("session", "warning", subject="pid 11", observed="1 s"), found("session", subject="pid 12")]
    new = [found("session", "warning", subject="pid 21", observed="2 s"), found("session", subject="pid 22")]
    assert brief(tmp_path, {"findings": old}, {"findings": new}) == [("finding", "session: pid 21", "moved")]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [("96 % of 97", 96, "%"), ("1 000 ms", 1000, "ms"), ("2 of 2 right", 2, ""), ("-0.5", -0.5, "")],
)
def test_the_number_of_an_observation_has_its_unit(text: str, value: float, unit: str) -> None:
    """Seconds are not compared with minutes."""
    assert figure(text) == Figure(value, unit)


def test_a_limit_may_have_two_numbers_and_a_text_none() -> None:
    """Warning, then critical."""
    assert limits("80 % / 90 %") == (Figure(80, "%"), Figure(90, "%"))
    assert figure("none") is None and limits("") == ()


def test_diff_ends_with_0_1_or_64(tmp_path: Path, opslib: Shell) -> None:
    """A script asks whether they are the same, and must not take a typing error for an answer."""
    keep(tmp_path, "1-ok", 2 * DAY, findings=[found("slots", observed="10 %")])
    keep(tmp_path, "2-ok", DAY, findings=[found("slots", observed="12 %")])
    keep(tmp_path, "3-bad", verdict="critical", findings=[found("slots", "critical", observed="97 %")])
    assert opslib("diff", "1-ok", "1-ok") == 0 and "Nothing differs" in opslib.out
    assert opslib("diff", "1-ok", "2-ok") == 1 and "1 value moved" in opslib.out
    assert opslib("diff", "1-ok", "2-ok", "--ignore-values") == 0
    assert opslib("diff", "2-ok", "3", "--ignore-values") == 1 and "✖ critical 97 %" in opslib.out
    assert opslib("diff", "latest ok site-down kulti", "latest", "--json") == 1
    told = json.loads(opslib.out)
    assert (told["same"], told["before"]["run_id"], told["after"]["run_id"]) == (False, "2-ok", "3-bad")
    for words in (("9", "1-ok"), ("1-ok", "9"), ("9",), ()):
        assert opslib("diff", *words) == 64


def test_one_run_alone_is_held_against_the_last_ok_before_it(tmp_path: Path, opslib: Shell) -> None:
    """That is the question at night: what is not as it was when it was well?"""
    keep(tmp_path, "1-ok", 4 * DAY)
    keep(tmp_path, "2-other", 3 * DAY, system="klutr")
    keep(tmp_path, "3-bad", 2 * DAY, verdict="critical")
    keep(tmp_path, "4-ok", DAY)
    assert opslib("diff", "3", "--json") == 1
    assert json.loads(opslib.out)["before"]["run_id"] == "1-ok"
    assert opslib("diff", "1-ok") == 64 and "was never ok before" in opslib.err


def sealed(archive: Path, verdict: str = "critical") -> str:
    """Seal a run of site-down with this verdict now; return its page."""
    result = {
        "verdict": verdict,
        "findings": [found("slots", "critical", subject="direct", observed="97 %", why=XSS)],
        "causes": [{"id": "connection-leak", "text": XSS}],
    }
    data = {"application/vnd.opslib.run+json": result}
    notebook = pages.notebook(pages.code("x", {"output_type": "display_data", "metadata": {}, "data": data}))
    intent = {
        "run_id": "now", "procedure": "site-down", "system": "kulti", "environment": "production",
        "archive": str(archive), "started_at": NOW.isoformat(),
        "origin": {
            "parameters": {"top": 20}, "trigger": "manual", "scheduled_for": None, "secrets": [],
            "actor": "ana", "actor_type": "User", "host": "here", "versions": {},
            "source": {"name": "x", "sha256": "1" * 64, "commit": None, "dirty": None},
        },
    }  # fmt: skip
    made = seal.seal(notebook, intent, Ending(), Masker(), finished=NOW + timedelta(seconds=3))
    assert made.record
    return (made.record / "run.html").read_text(encoding="utf-8")


def test_the_page_of_a_bad_run_says_what_changed_since_the_last_ok(tmp_path: Path) -> None:
    """With it the search for the cause begins on the page itself."""
    keep(tmp_path, "0-other", DAY / 2, system="klutr", parameters={"top": 5})
    keep(
        tmp_path,
        "1-ok",
        DAY,
        parameters={"top": 10},
        findings=[found("slots", subject="direct", observed="12 %")],
    )
    html = sealed(tmp_path)
    part = html[html.index('class="since"') : html.index("</section>")]
    for words in (
        "2026-11-20 12:00:00 UTC",
        "1-ok",
        "parameter top",
        "10",
        "20",
        "slots: direct",
        "12 %",
        "97 %",
    ):
        assert words in part
    assert "&lt;script&gt;" in part and "<script" not in html and "<img" not in html


def test_what_came_of_it_comes_first_and_a_given_default_is_no_difference(tmp_path: Path) -> None:
    """A run that applies a plan is given every parameter, one by hand none: that explains nothing."""
    declared = catalog.load().get("site-down").parameters
    defaults = {one.name: one.default for one in declared if one.name not in ("system", "environment")}
    other, *same = defaults
    keep(tmp_path, "1-ok", DAY, parameters={**defaults, other: "another", "unknown": 7})
    html = sealed(tmp_path)
    part = html[html.index('class="since"') : html.index("</section>")]
    assert same and not [name for name in same if f"parameter {name}<" in part]
    places = [
        part.index(word) for word in ("verdict", "connection-leak", f"parameter {other}<", "slots: direct")
    ]
    assert places == sorted(places) and "parameter unknown<" in part


def test_the_page_of_an_ok_run_compares_nothing(tmp_path: Path) -> None:
    """There is nothing to look for."""
    keep(tmp_path, "1-ok", DAY)
    assert 'class="since"' not in sealed(tmp_path, "ok")


def test_a_first_bad_run_says_that_there_is_nothing_to_compare(tmp_path: Path) -> None:
    """Silence would look as if nothing had changed."""
    assert "No earlier run here is known to be ok" in sealed(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "{", "[]"])
def test_a_last_ok_run_that_cannot_be_read_keeps_no_record_from_being_made(
    tmp_path: Path, damage: str
) -> None:
    """It is said, and the run is sealed."""
    path = keep(tmp_path, "1-ok", DAY) / "run.json"
    path.unlink() if damage == "gone" else path.write_text(damage, encoding="utf-8")
    html = sealed(tmp_path)
    assert "its record cannot be read any more" in html and "1-ok" in html


def test_an_index_that_cannot_be_used_keeps_no_record_from_being_made(tmp_path: Path) -> None:
    """The record is what counts."""
    (tmp_path / "index.sqlite").mkdir()
    assert 'class="since"' not in sealed(tmp_path)


def test_nothing_in_what_changed_can_act_on_the_page(tmp_path: Path) -> None:
    """Names and values come from elsewhere."""
    keep(
        tmp_path,
        "1-ok",
        DAY,
        parameters={XSS: XSS},
        findings=[found(XSS, subject=XSS, observed=XSS, limit=XSS)],
    )
    keep(tmp_path, "2-bad", verdict="critical", **kept.cause(XSS, XSS))
    index = Index(tmp_path)
    html = section(since.compared(index, index.get("2-bad")))
    assert html.count("&lt;script&gt;") >= 6 and "<script" not in html and "<img" not in html
    whole = page.render(pages.notebook(), pages.statement(), [], since.Since("x", XSS, None, XSS))
    assert "<script" not in whole and "<img" not in whole
