"""What a person sees in a notebook: nothing raw, nothing hidden, nothing secret."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from opslib import frames, masking
from opslib.show import display, markup, plots
from opslib.verdict import Cause, Finding, Status, conclude

HEADING = markup.Heading("slots", "kulti", "production", "01a1", "2026-11-21 03:00:00", running=False)
EVIL = "<script>alert(1)</script>"


def banner(*findings: Finding, running: bool = False) -> str:
    """Return the banner over some findings."""
    heading = markup.Heading("slots", "kulti", "production", "01a1", "2026-11-21 03:00:00", running)
    return markup.banner(heading, conclude(findings))


def test_the_banner_says_verdict_cause_and_place() -> None:
    """The answer is on top, with a sign beside the colour."""
    shown = banner(Finding("slots", Status.CRITICAL, cause=Cause("lock-storm", "psql holds up 7")))
    assert "opslib-critical" in shown and "✖ Critical" in shown
    assert "lock-storm" in shown and "psql holds up 7" in shown
    assert "kulti" in shown and "<b>production</b>" in shown


def test_the_banner_is_not_final_while_checks_are_coming() -> None:
    """A green banner half way through must not be read as the end."""
    assert "OK so far" in banner(Finding("slots", Status.OK), running=True)
    assert "Checking" in banner(running=True)
    assert "so far" not in banner(Finding("slots", Status.OK))


def test_nothing_from_outside_becomes_markup() -> None:
    """A row of a database is text, whatever is in it."""
    found = Finding(EVIL, Status.CRITICAL, EVIL, EVIL, EVIL, EVIL, EVIL, cause=Cause(EVIL, EVIL))
    frame = pd.DataFrame({EVIL: [EVIL]})
    for shown in (banner(found), markup.findings([found]), markup.table(frame, EVIL, 5)):
        assert "<script" not in shown


def test_findings_come_worst_first_and_empty_columns_are_left_out() -> None:
    """The line that matters is the first one."""
    shown = markup.findings(
        [Finding("a", Status.OK, observed="1"), Finding("b", Status.CRITICAL, observed="9")]
    )
    assert shown.index("<td>b</td>") < shown.index("<td>a</td>")
    assert "<th>observed</th>" in shown and "<th>next</th>" not in shown


def test_a_table_says_how_many_rows_it_does_not_show() -> None:
    """A cut list must not look like a whole one."""
    shown = markup.table(pd.DataFrame({"pid": range(50)}), "Sessions", 20)
    assert "first 20 of 50 rows" in shown and shown.count("<tr>") == 21


def test_a_table_reads_the_same_in_text_as_in_html(capsys: pytest.CaptureFixture[str]) -> None:
    """Who opens a notebook in an editor sees columns; and what would hide a word there is written out."""
    frame = pd.DataFrame(
        {
            "name": ["api", "wo\x1b[2Krker"],
            "bytes": [1536.0, float("nan")],
            "since": [pd.Timestamp("2026-11-21 03:00"), pd.NaT],
            "pid": [7, 4711],
            "note": [None, "a\nb"],
        }
    )
    display.Show()(frame, title="Sessions")
    assert capsys.readouterr().out.splitlines() == [
        "Sessions",
        "name           bytes  since                 pid  note",
        "api            1 536  2026-11-21 03:00:00     7",
        "wo\\x1b[2Krker                              4711  a\\nb",
    ]
    assert "<td>1 536</td><td>2026-11-21 03:00:00</td><td>7</td><td></td>" in markup.table(frame, "", 20)


@pytest.mark.parametrize(
    "frame, words",
    [
        (frames.unavailable(["pid"], "connection refused"), "could not be looked at: connection refused"),
        (pd.DataFrame({"pid": []}), "no rows"),
    ],
)
def test_a_frame_without_rows_says_why(
    frame: pd.DataFrame, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing found and nothing looked at are two things."""
    display.Show()(frame, title="Sessions")
    assert words in capsys.readouterr().out


def test_a_secret_whose_line_ends_are_written_out_is_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text has it in other letters than HTML."""
    monkeypatch.setattr(masking, "registered", lambda: {"key": "BEGIN\nabcDEF123456ghi\tsecond9876\nEND"})
    display.Show()(pd.DataFrame({"value": ["BEGIN\nabcDEF123456ghi\tsecond9876\nEND"]}))
    assert capsys.readouterr().out.split() == ["value", "[redacted:key]"]


def test_what_is_shown_is_masked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Under stock papermill nothing stands between the kernel and the disk but this."""
    monkeypatch.setattr(masking, "registered", lambda: {"dsn": "Tr0ub4dor-and-3"})
    display.Show()(pd.DataFrame({"query": ["login Tr0ub4dor-and-3"]}), title="Tr0ub4dor-and-3")
    said = capsys.readouterr().out
    assert "Tr0ub4dor" not in said and "[redacted:dsn]" in said


def test_a_plot_is_a_picture_with_the_limit_drawn_in() -> None:
    """Bars without their limit say nothing about danger."""
    frame = pd.DataFrame({"app": ["a", "b"], "total": [3, 9]})
    figure = plots.bar(frame, "app", "total", limit=8, title="Sessions", unit="")
    picture = plots.png(figure)
    assert picture.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(picture)) as image:
        pixels = image.convert("RGB").tobytes()
    colours = {f"#{pixels[place : place + 3].hex()}" for place in range(0, len(pixels), 3)}
    assert {"#ffffff", plots.INK, plots.LIMIT} <= colours and len(colours) < 100
    assert [text.get_text() for text in figure.texts] == ["Sessions (total)", "a", "3", "b", "9", "limit 8"]
    parts = figure.get_children()
    widths = [part.get_width() for part in parts if isinstance(part, Rectangle) and part is not figure.patch]
    axis, limit = (np.asarray(part.get_xdata())[0] for part in parts if isinstance(part, Line2D))
    assert np.divide([*widths, limit - axis], widths[1]).round(3).tolist() == [0.333, 1.0, 0.889]


@pytest.mark.parametrize(
    "names, values, limit",
    [
        (["$a$", "", "ä" * 300], [float("nan"), float("inf"), -5], None),
        (["a"], [0], 0),
        (["a"], [None], None),
    ],
    ids=["odd", "nothing", "no number"],
)
def test_odd_names_and_numbers_are_drawn_all_the_same(
    names: list[str], values: list[float | None], limit: float | None
) -> None:
    """A plot must not break a run that has found something."""
    frame = pd.DataFrame({"name": names, "value": values})
    figure = plots.bar(frame, "name", "value", limit=limit, title="$", unit="")
    assert plots.png(figure).startswith(b"\x89PNG")
    assert {text.get_text() for text in figure.texts} >= set(names)
