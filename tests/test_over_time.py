"""A procedure over time: what ran, what was missed, what is open since when, and what only flickers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest

from opslib import ids
from opslib.archive.index import Index
from opslib.archive.notes import Notes
from opslib.config import Slot
from opslib.errors import UnknownName
from opslib.trends import page, words
from opslib.trends.facts import OverTime, Rates
from opslib.trends.gather import gather
from tests import kept, shop
from tests.kept import NOW, found, keep
from tests.test_cli import Shell
from tests.test_diff import XSS
from tests.test_history import DAY

TARGET = {"procedure": "site-down", "system": "kulti", "environment": "production"}
MINUTE = timedelta(minutes=1)
SCHEDULE = """owner: on-call
environment: production
slots:
  - {id: daily, procedure: too-warm, system: shop, cron: "0 6 * * *"}
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of a test are its own."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Command lines, in a project of the test's own that has an archive."""
    (tmp_path / "project").mkdir()
    shop.build(tmp_path / "project", monkeypatch).schedule(SCHEDULE)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    return Shell(capsys)


def slot(**changes: Any) -> Slot:
    """Return a slot that runs site-down at 06:00 UTC."""
    values: dict[str, Any] = {
        "id": "daily", "procedure": "site-down", "system": "kulti", "environment": "production",
        "cron": "0 6 * * *", "owner": "on-call", "catch_up": "skip", **changes,
    }  # fmt: skip
    return Slot(**values)


def planned(archive: Path, day: int, **told: Any) -> None:
    """Keep a run of the slot for 06:00 of a day of November, begun a little later."""
    moment = datetime(2026, 11, day, 6, 0, tzinfo=UTC)
    own = {"trigger": "schedule", "actor": "schedule:daily", "scheduled_for": ids.stamp(moment)}
    keep(archive, f"run-{day}", NOW - moment - 2 * MINUTE, **{**own, **told})


def over(archive: Path, *slots: Slot, **more: Any) -> OverTime:
    """Return what is known of site-down on kulti."""
    return gather(Index(archive), slots, TARGET, **{"now": NOW, **more})


def states(told: OverTime) -> list[str]:
    """Return day and state of each entry."""
    return [f"{entry.moment:%d} {entry.state}" for entry in told.entries]


def test_the_strip_has_runs_and_missed_moments_in_their_order(tmp_path: Path) -> None:
    """A gap is as telling as a bad run, and nobody sees what is not drawn."""
    for day, verdict in ((16, "ok"), (17, "critical"), (20, "ok"), (21, "ok")):
        planned(tmp_path, day, verdict=verdict)
    keep(tmp_path, "by-hand", 2 * DAY, verdict="warning")
    told = over(tmp_path, slot())
    assert states(told) == [
        "16 ok", "17 critical", "18 missed", "19 missed", "19 warning", "20 ok", "21 ok",
    ]  # fmt: skip
    assert "2 missed, the last one 2026-11-19 06:00" in words.planned(told)


def test_nothing_is_missed_before_a_slot_first_ran_or_where_none_is(tmp_path: Path) -> None:
    """A new slot must not begin with a month of gaps."""
    keep(tmp_path, "by-hand", 9 * DAY)
    planned(tmp_path, 20)
    planned(tmp_path, 21)
    assert states(over(tmp_path, slot())) == ["12 ok", "20 ok", "21 ok"]
    assert states(over(tmp_path)) == ["12 ok", "20 ok", "21 ok"]
    other = slot(id="other", system="klutr")
    assert over(tmp_path, other).schedule == "" and "nothing counts as missed" in words.planned(
        over(tmp_path)
    )


def test_a_moment_that_can_still_be_run_is_not_missed(tmp_path: Path) -> None:
    """It is due; only when its latest start has passed it is missed."""
    planned(tmp_path, 20)
    soon = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    assert states(over(tmp_path, slot(), now=soon)) == ["20 ok"]
    assert states(over(tmp_path, slot(), now=soon + timedelta(hours=1))) == ["20 ok", "21 missed"]


def test_a_routine_answers_for_its_procedures(tmp_path: Path) -> None:
    """Their runs have no planned moment of their own, only the actor; or the routine took a fresh record."""
    routine = slot(procedure=None, routine="daily")
    for day in (18, 20):
        planned(tmp_path, day, scheduled_for=None, trigger="routine")
    moment = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    keep(
        tmp_path, "checklist", timedelta(hours=5), procedure="checklist", trigger="schedule",
        actor="schedule:daily", scheduled_for=ids.stamp(moment),
    )  # fmt: skip
    assert states(over(tmp_path, routine)) == ["18 ok", "19 missed", "20 ok"]


def test_at_most_thirty_entries_are_shown(tmp_path: Path) -> None:
    """The newest."""
    planned(tmp_path, 1)
    planned(tmp_path, 21)
    told = over(tmp_path, slot(cron="0 * * * *"))
    assert len(told.entries) == 30 and told.entries[-1].state == "missed"


def test_rates_count_the_runs_of_their_days(tmp_path: Path) -> None:
    """Of none there is no rate, and almost all is not all."""
    for number, (days, verdict) in enumerate(
        [(1, "ok"), (2, "critical"), (40, "ok"), (100, "unknown"), (400, "ok")]
    ):
        keep(tmp_path, f"run-{number}", days * DAY, verdict=verdict)
    rates = {rates.days: (rates.runs, rates.share("ok")) for rates in over(tmp_path).rates}
    assert rates == {30: (2, 0.5), 90: (3, 2 / 3), 365: (4, 0.5)}
    assert words.shares(Rates(30, {})) == ["", "", "", ""]
    assert words.shares(Rates(30, {"ok": 9999, "critical": 1}))[:3] == ["99.9 %", "0 %", "0.1 %"]


def test_an_open_finding_has_a_first_and_a_last_time(tmp_path: Path) -> None:
    """Since it was last ok: an earlier spell that was mended is another one."""
    history = [(6, "critical"), (5, "ok"), (4, "warning"), (3, "critical"), (2, None), (1, "critical")]
    for days, status in history:
        rows = [found("slots", status, subject="direct")] if status else []
        keep(tmp_path, f"run-{days}", days * DAY, verdict="critical", findings=[*rows, found("locks")])
    (told,) = over(tmp_path).open
    assert told.finding["key"] == "slots:direct" and not told.older
    assert (told.first, told.last, told.runs) == (NOW - 4 * DAY, NOW - DAY, 3)


def test_what_is_ok_or_gone_in_the_newest_run_is_not_open(tmp_path: Path) -> None:
    """Unless that run broke before it came to it."""
    keep(
        tmp_path, "1", 2 * DAY, verdict="critical", findings=[found("a", "critical"), found("b", "critical")]
    )
    keep(tmp_path, "2", DAY, findings=[found("a")])
    assert over(tmp_path).open == ()
    keep(tmp_path, "3", verdict="unknown", findings=[found("run", "unknown")])
    assert [told.finding["key"] for told in over(tmp_path).open] == ["b", "run"]


def test_the_number_that_is_held_to_a_limit_and_worst_is_drawn(tmp_path: Path) -> None:
    """With its limits; values of another unit are left out."""
    for days, seen in ((4, "40 %"), (3, "not looked at"), (2, "97 s"), (1, "91 %")):
        rows = [
            found("rows", observed="5 rows"),
            found("size", observed="3 MB", limit="9 MB"),
            found("slots", "critical" if days == 1 else "ok", observed=seen, limit="80 % / 90 %"),
        ]
        keep(tmp_path, f"run-{days}", days * DAY, findings=rows)
    trend = over(tmp_path).trend
    assert trend and trend.key == "slots" and [value for _, value in trend.points] == [40, 91]
    assert [bound.text() for bound in trend.limits] == ["80 %", "90 %"]
    assert words.trend(trend) == "40 → 91 % over 2 runs; lowest 40, highest 91, limit 80 % / 90 %"
    other = over(tmp_path, key="rows").trend
    assert other and len(other.points) == 4 and not other.limits


def test_a_number_is_drawn_in_the_unit_of_its_limit_and_words_are_no_number(tmp_path: Path) -> None:
    """What only mentions a number must not be drawn as if it had been measured."""
    for days, seen in ((2, "1 of 194 (0.5 %)"), (1, "195 of 194 (100 %)")):
        words_only = found("idle sessions", "critical", observed="none idle for 60 min", limit="60 min")
        rows = [words_only, found("slots", observed=seen, limit="80 % / 90 %")]
        keep(tmp_path, f"run-{days}", days * DAY, findings=rows)
    trend = over(tmp_path).trend
    assert trend and (trend.key, trend.unit) == ("slots", "%")
    assert [value for _, value in trend.points] == [0.5, 100] and len(trend.limits) == 2


def test_one_number_is_no_trend_unless_it_is_asked_for(tmp_path: Path) -> None:
    """The first day has nothing to compare."""
    keep(tmp_path, "1", findings=[found("slots", observed="4 %")])
    assert over(tmp_path).trend is None
    asked = over(tmp_path, key="slots").trend
    assert asked and words.trend(asked).startswith("4 % over 1 run;")


def test_a_key_without_numbers_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    """A misspelt key must not show another number."""
    keep(tmp_path, "1", findings=[found("slots", observed="4 %"), found("locks", observed="none")])
    for key in ("locks", "slotz"):
        with pytest.raises(UnknownName) as raised:
            over(tmp_path, key=key)
        assert "slots" in raised.value.hint


@pytest.mark.parametrize(
    ("apart", "told", "flaky"),
    [
        (30, {"verdict": "critical"}, True),
        (31, {"verdict": "critical"}, False),
        (30, {"verdict": "ok"}, False),
        (30, {"verdict": "critical", "parameters": {"a": 1}}, False),
        (30, {"verdict": "critical", "sha256": "1" * 64}, False),
        (30, {"verdict": "critical", "changed": [{"target": "x", "state": "done"}]}, False),
    ],
)
def test_flaky_is_a_verdict_that_soon_goes_back_with_the_same_code_and_parameters(
    tmp_path: Path, apart: int, told: dict[str, Any], flaky: bool
) -> None:
    """What was changed, or took long, is reason enough for another verdict."""
    keep(tmp_path, "1", DAY + 2 * apart * MINUTE)
    keep(tmp_path, "2", DAY + apart * MINUTE, **told)
    keep(tmp_path, "3", DAY)
    known = over(tmp_path)
    assert known.flaky is flaky
    assert bool(words.flaky(known)) is flaky
    if flaky:
        assert "ok, critical, and ok again at 2026-11-20 12:00" in words.flaky(known)
        assert words.look(known.flips[0]) == "opslib diff 1 2"


def test_a_fault_that_begins_or_ends_is_not_flaky(tmp_path: Path) -> None:
    """Else every incident that a check every five minutes finds would be called a flutter."""
    for number, verdict in enumerate(["ok", "ok", "critical", "critical", "ok", "ok"]):
        keep(tmp_path, str(number), DAY - number * MINUTE, verdict=verdict)
    assert not over(tmp_path).flaky


def test_runs_that_all_changed_something_are_not_flaky(tmp_path: Path) -> None:
    """Each of them is a reason for the next one's verdict."""
    done = [{"target": "x", "state": "done"}]
    for number, verdict in enumerate(["ok", "critical", "ok"]):
        keep(tmp_path, str(number), DAY - number * MINUTE, verdict=verdict, changed=done)
    assert not over(tmp_path).flaky


def test_flaky_is_forgotten_after_a_month(tmp_path: Path) -> None:
    """It says how things are."""
    for number, verdict in enumerate(["ok", "critical", "ok"]):
        keep(tmp_path, str(number), 31 * DAY - number * MINUTE, verdict=verdict)
    assert not over(tmp_path).flaky


def test_the_page_is_one_file_that_says_it_all_and_cannot_act(tmp_path: Path) -> None:
    """Every word in it may come from elsewhere."""
    row = found(XSS, "critical", subject=XSS, observed=f"7 % {XSS}", limit="5 %", why=XSS)
    for day in (18, 20, 21):
        planned(tmp_path, day, verdict="critical", findings=[row], **kept.cause(XSS, XSS))
    Notes(tmp_path).add("run-21", XSS, XSS)
    html = page.render(over(tmp_path, slot()), XSS)
    assert "<script" not in html and "<img" not in html and "onerror=&quot;" in html
    assert html.count("Content-Security-Policy") == 1 and "http:" not in html and "https:" not in html
    for part in (
        f"<h2>{escape(row['key'][:100])}",
        'class="run critical"',
        'class="run missed"',
        "first seen 2026-11-18 06:02",
        'class="curve"',
        "Notes",
    ):
        assert part in html


def test_records_that_cannot_be_read_are_said_on_the_page_and_on_the_terminal(
    tmp_path: Path, opslib: Shell
) -> None:
    """A rate over the runs that happen to be readable must not look whole."""
    keep(tmp_path, "1", procedure="too-warm", system="shop")
    bad = keep(tmp_path, "2", procedure="too-warm", system="shop") / "run.json"
    bad.write_text("{", encoding="utf-8")
    Index(tmp_path).rebuild()
    assert opslib("report", "too-warm", "--system", "shop") == 0
    html = Path(opslib.out.strip()).read_text(encoding="utf-8")
    assert "1 record of this archive cannot be read and is not counted" in html
    assert str(bad) in opslib.err


def test_nothing_open_and_one_run_make_a_page_too(tmp_path: Path) -> None:
    """The first day."""
    keep(tmp_path, "1", DAY)
    html = page.render(over(tmp_path), "Site down")
    assert "None: all that was checked is well." in html and 'class="curve"' not in html


def test_report_of_a_procedure_is_a_page_a_text_or_an_object(tmp_path: Path, opslib: Shell) -> None:
    """And `report` of a run is what it was."""
    target = {"procedure": "too-warm", "system": "shop"}
    keep(tmp_path, "1", 2 * DAY, **target)
    row = found("temperature", "critical", observed="45 C", limit="30 C / 40 C")
    keep(tmp_path, "2", DAY, **target, verdict="critical", findings=[row])
    words_of = ("report", "too-warm", "--system", "shop", "--env", "production")
    assert opslib(*words_of) == 0
    html = Path(opslib.out.strip()).read_text(encoding="utf-8")
    assert "Too warm, over time" in html
    assert opslib(*words_of, "--print") == 0
    assert opslib.out.startswith("✖ Critical: too-warm on shop (production), over time\n")
    assert "\n✔✖\n" in opslib.out and "45 C (limit 30 C / 40 C)" in opslib.out and "\x1b" not in opslib.out
    assert opslib(*words_of, "--json") == 0
    assert [entry["run_id"] for entry in json.loads(opslib.out)["entries"]] == ["1", "2"]
    assert opslib(*words_of, "-o", str(tmp_path / "own.html")) == 0 and (tmp_path / "own.html").is_file()
    assert opslib("report", "latest", "--print") == 0
    assert Path(opslib.out.strip()) == Path(Index(tmp_path).get("2")["record"]) / "run.html"


@pytest.mark.parametrize(
    ("words_of", "says"),
    [
        (["too-warm"], "which system?"),
        (["too-warm", "--system", "shop", "--env", "staging"], "no run of too-warm on shop (staging)"),
        (["--system", "shop"], "needs its name and --system"),
        (["latest", "--key", "x"], "needs its name and --system"),
        (["too-warm", "--system", "shop", "--key", "x"], "no finding 'x' with a number"),
    ],
)
def test_a_report_that_cannot_be_made_says_what_is_missing(
    tmp_path: Path, opslib: Shell, words_of: list[str], says: str
) -> None:
    """With 64, and nothing is written."""
    keep(tmp_path, "1", procedure="too-warm", system="shop")
    assert opslib("report", *words_of) == 64
    assert says in opslib.err and opslib.out == ""


def test_a_broken_schedule_leaves_a_report_without_missed_moments(tmp_path: Path, opslib: Shell) -> None:
    """It is said; what ran is still worth reading."""
    keep(tmp_path, "1", procedure="too-warm", system="shop")
    (tmp_path / "project" / "parameters" / "schedule.yml").write_text("slots: 7\n", encoding="utf-8")
    assert opslib("report", "too-warm", "--system", "shop", "--print") == 0
    assert "what was missed is not known" in opslib.err and "✔ OK: too-warm" in opslib.out
