"""The runner: a verdict, a record, and nothing left behind, whatever the notebook does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opslib.archive import record
from opslib.archive.index import Index
from opslib.errors import ArchiveError, ProcedureError
from opslib.runner import recover
from opslib.runner.execute import run, run_many
from opslib.runner.limits import STREAM_HEAD, STREAM_TAIL
from tests import small

SECRET = "Tr0ub4dor-and-3-horses"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, and a secret that klutr's production uses."""
    home = tmp_path / "home"
    monkeypatch.setenv("OPSLIB_HOME", str(home))
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    monkeypatch.setenv("KLUTR_DATABASE_URL", f"postgresql://app:{SECRET}@db.invalid/klutr")
    return home


def notebook(record: Path) -> dict[str, Any]:
    """Return the executed notebook of a record."""
    return dict(json.loads((record / "run.ipynb").read_text(encoding="utf-8")))


def said(record: Path, *names: str) -> str:
    """Return what a notebook's streams said, one after the other."""
    outputs = [output for cell in notebook(record)["cells"] for output in cell.get("outputs", [])]
    streams = [
        o for o in outputs if o["output_type"] == "stream" and o["name"] in (names or ("stdout", "stderr"))
    ]
    return "".join("".join(stream["text"]) for stream in streams)


def written(*folders: Path) -> str:
    """Return everything that was written below folders, as one text."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.parametrize("status, code", [("ok", 0), ("warning", 1), ("critical", 2), ("unknown", 3)])
def test_the_typed_result_of_the_notebook_is_the_verdict(tmp_path: Path, status: str, code: int) -> None:
    """Never text that was scraped: the result has a type of its own."""
    outcome = run(small.request(tmp_path, small.verdict(status, "lock-storm")))
    assert (str(outcome.status), outcome.status.exit_code) == (status, code)
    assert outcome.document["cause"]["id"] == "lock-storm"


def test_a_record_has_the_notebook_the_page_and_the_statement_that_names_them(tmp_path: Path) -> None:
    """With its signature and its proof; found by date, and found again through the index."""
    outcome = run(small.request(tmp_path, small.verdict("ok")))
    assert sorted(path.name for path in outcome.record.iterdir()) == [
        "run.dsse.json", "run.html", "run.ipynb", "run.json", "run.tlog-proof",
    ]  # fmt: skip
    statement = json.loads((outcome.record / "run.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    for subject in statement["subject"]:
        content = (outcome.record / subject["name"]).read_bytes()
        assert subject["digest"]["sha256"] == record.sha256(content)
    found = Index(tmp_path / "archive").get(outcome.run_id[:20])
    assert found["verdict"] == "ok" and found["record"] == str(outcome.record)


def test_parameters_arrive_typed_in_a_cell_of_their_own(tmp_path: Path) -> None:
    """papermill's format, so that every tool that reads it reads ours."""
    asked = small.request(tmp_path, "print(system, environment)", small.verdict("ok"))
    cells = notebook(run(asked).record)["cells"]
    injected = next(cell for cell in cells if "injected-parameters" in cell["metadata"].get("tags", []))
    assert 'system = "klutr"' in "".join(injected["source"])
    printed = [output["text"] for cell in cells for output in cell.get("outputs", []) if "text" in output]
    assert "".join(printed[0]) == "klutr production\n"
    assert all("papermill" in cell["metadata"] for cell in cells)


BROKEN = {
    "an exception": ("1 / 0", "procedure-broke", "ZeroDivisionError"),
    "a dead kernel": ("import os; os._exit(7)", "kernel-died", ""),
    "an endless loop": ("while True: pass", "timed-out", ""),
    "no result": ("1 + 1", "procedure-broke", "without reaching its verdict"),
    "a parameter that fits nothing": (
        "from opslib.errors import ParameterError; raise ParameterError('table: there is none')",
        "parameter-refused",
        "table: there is none",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_procedure_that_breaks_is_unknown_and_its_record_says_how(tmp_path: Path, how: str) -> None:
    """Neither ok nor critical: nobody knows, and that is what is kept."""
    cell, cause, words = BROKEN[how]
    outcome = run(small.request(tmp_path, "print('before')", cell, cell_timeout_s=2))
    assert outcome.document["verdict"] == "unknown"
    assert outcome.document["cause"]["id"] == cause
    assert words in outcome.document["cause"]["text"]
    assert "before" in written(outcome.record)


@pytest.mark.parametrize(("given", "words"), [(None, "longer than 3 s"), (1.2, "longer than 2 s")])
def test_a_cell_may_take_as_long_as_its_procedure_asks_for_or_a_person_says(
    tmp_path: Path, given: float | None, words: str
) -> None:
    """A dump of a real database takes longer than a look at it."""
    asked = small.request(tmp_path, "import time; time.sleep(60)", cell_timeout_s=given)
    outcome = run(replace(asked, procedure=replace(asked.procedure, cell_minutes=0.05)))
    assert words in outcome.document["cause"]["text"]


def test_a_run_may_take_as_long_as_its_longest_cell(tmp_path: Path) -> None:
    """Else the run would be cut off while the cell may go on."""
    asked = small.request(tmp_path, "")
    assert (asked.cell_s, asked.run_s) == (120, 900)
    long = replace(asked, procedure=replace(asked.procedure, cell_minutes=60))
    assert long.cell_s == 3600 and long.run_s > 3600
    assert replace(long, longer_s=600).cell_s == 4200 and replace(long, run_timeout_s=5).run_s == 5


RESULTS = {
    "a word of its own": {"verdict": "fine"},
    "no verdict": {"schema": 1},
    "half a finding": {"verdict": "ok", "findings": [{"check": "slots"}]},
    "a finding with a strange status": {"verdict": "ok", "findings": [{"status": "red"}]},
    "a cause without text": {"verdict": "ok", "cause": {"id": "x"}},
    "a text": "ok",
    "steps that are no list": {"verdict": "ok", "next": "database-health"},
}


@pytest.mark.parametrize("how", RESULTS)
def test_a_result_that_cannot_be_read_is_unknown_with_the_reason(tmp_path: Path, how: str) -> None:
    """A notebook of somebody else's must neither pass nor break the runner."""
    data = {"application/vnd.opslib.run+json": RESULTS[how]}
    show = f"from IPython.display import display\ndisplay({data!r}, raw=True)"
    outcome = run(small.request(tmp_path, show))
    assert (outcome.document["verdict"], outcome.document["cause"]["id"]) == ("unknown", "procedure-broke")
    assert "result cannot be read" in outcome.document["cause"]["text"]
    assert recover.sweep(tmp_path / "archive") == []


def test_a_kernel_that_does_not_start_is_unknown_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken installation at night: its own last words are the best hint there is."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ipykernel_launcher.py").write_text("raise SystemExit('no library foo')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    outcome = run(small.request(tmp_path, small.verdict("ok")))
    assert (outcome.document["verdict"], outcome.document["cause"]["id"]) == ("unknown", "kernel-died")
    assert "did not start" in outcome.document["cause"]["text"]
    assert outcome.document["cause"]["text"].endswith("no library foo")


def test_a_notebook_that_cannot_be_read_is_unknown_and_the_others_go_on(tmp_path: Path) -> None:
    """It was whole when the catalogue read it; a routine of ten must not end with one bad file."""
    asked = small.request(tmp_path / "bad", small.verdict("ok"))
    asked.procedure.path.write_text('{"cells": [')
    good = small.request(tmp_path / "good", small.verdict("warning"))
    first, second = run_many([asked, good], jobs=1)
    assert (str(first.status), str(second.status)) == ("unknown", "warning")
    assert first.document["cause"]["id"] == "procedure-broke"
    assert str(asked.procedure.path) in first.document["cause"]["text"]
    assert (first.record / "run.html").is_file()


def test_a_notebook_that_is_gone_is_said_in_a_sentence(tmp_path: Path) -> None:
    """There is nothing of which a record could speak."""
    asked = small.request(tmp_path, small.verdict("ok"))
    asked.procedure.path.unlink()
    with pytest.raises(ProcedureError) as raised:
        run(asked)
    assert str(asked.procedure.path) in raised.value.message
    assert not (tmp_path / "home" / "spool").exists()


def test_an_old_record_that_somebody_damaged_does_not_keep_a_new_one_away(tmp_path: Path) -> None:
    """Who asks for the history is told; who runs something at night gets the verdict."""
    damaged = run(small.request(tmp_path, small.verdict("ok"))).record / "run.json"
    damaged.write_text("{}")
    (tmp_path / "archive" / "index.sqlite").unlink()
    outcome = run(small.request(tmp_path, small.verdict("critical")))
    assert str(outcome.status) == "critical" and (outcome.record / "run.json").is_file()
    page = (outcome.record / "run.html").read_text()
    assert "1 record of this archive cannot be read and is not counted" in page
    assert "No earlier run here is known to be ok" in page
    index = Index(tmp_path / "archive")
    assert [found["run_id"] for found in index.find()] == [outcome.run_id]
    ((named, why),) = index.unreadable()
    assert named == damaged and "not a record" in why
    shutil.rmtree(damaged.parent)
    assert index.unreadable() == []


def test_outputs_of_an_earlier_execution_are_not_in_the_record(tmp_path: Path) -> None:
    """Saved in JupyterLab with outputs, then broken in its first cell: the rest was not run."""
    asked = small.request(tmp_path, "1 / 0", small.verdict("ok"))
    source = json.loads(asked.procedure.path.read_text())
    source["cells"][-1] |= {
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "YESTERDAY"}],
        "execution_count": 7,
    }
    asked.procedure.path.write_text(json.dumps(source))
    assert "YESTERDAY" not in written(run(asked).record)


def test_the_cell_that_broke_is_marked_as_papermill_marks_it(tmp_path: Path) -> None:
    """Tools that know papermill's format find the place, and the page says it in its own way."""
    outcome = run(small.request(tmp_path, "1 / 0", small.verdict("ok")))
    cells = notebook(outcome.record)["cells"]
    marked = [
        n for n, cell in enumerate(cells) if "papermill-error-cell-tag" in cell["metadata"].get("tags", [])
    ]
    assert marked[0] == 0 and cells[marked[1] + 1]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert "papermill-error-cell" not in (outcome.record / "run.html").read_text()
    again = small.request(tmp_path / "again", small.verdict("ok"))
    again.procedure.path.write_text((outcome.record / "run.ipynb").read_text().replace("1 / 0", "1 / 1"))
    assert not [c for c in notebook(run(again).record)["cells"] if "papermill-error" in str(c["metadata"])]


def test_a_result_followed_by_an_exception_is_unknown(tmp_path: Path) -> None:
    """A verdict only counts when the notebook got to its end."""
    outcome = run(small.request(tmp_path, small.verdict("ok"), "1 / 0"))
    assert outcome.document["verdict"] == "unknown"


def test_a_run_that_takes_too_long_as_a_whole_is_stopped(tmp_path: Path) -> None:
    """Many short cells can hang a night as well as one long one."""
    asked = small.request(tmp_path, "import time", *["time.sleep(0.4)"] * 9, run_timeout_s=2.5)
    assert run(asked).document["cause"]["id"] == "timed-out"


OPENING = "import os, sys\nSECRET = os.environ['KLUTR_DATABASE_URL'].split(':')[2].split('@')[0]"
LEAKS = {
    "printed": f"print({SECRET!r})",
    "in pieces": f"for piece in {SECRET!r}: print(piece, end='', flush=True)",
    "in an exception": f"raise RuntimeError('cannot log in with ' + {SECRET!r})",
    "as the name of an exception": f"raise type({SECRET!r}, (Exception,), dict())('x')",
    "in HTML": f"from IPython.display import HTML, display\ndisplay(HTML('<b>' + {SECRET!r} + '</b>'))",
    "in SVG": f"from IPython.display import SVG, display\n"
    f"display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><text>' + {SECRET!r} + '</text></svg>'))",
    "by a child process": f"import subprocess, sys\n"
    f"subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write({SECRET!r})'])",
    "as base64": f"import base64\nprint(base64.b64encode(b'user:' + {SECRET!r}.encode()).decode())",
    "as an update": f"from IPython.display import display\n"
    f"handle = display('x', display_id=True)\nhandle.update({SECRET!r})",
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_secret_is_masked_in_whatever_is_written(
    tmp_path: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Record, index, spool and our own output: the value is in none of them."""
    source = LEAKS[how].replace(repr(SECRET), "SECRET")
    if how == "by a child process":
        source = source.replace("SECRET", "' + repr(SECRET) + '")
    outcome = run(small.request(tmp_path, OPENING, source, small.verdict("ok")))
    told = capfd.readouterr()
    everything = written(tmp_path / "archive", tmp_path / "home") + told.out + told.err
    assert SECRET not in everything
    assert SECRET not in json.dumps(outcome.document)
    if how != "by a child process":
        assert "[redacted:" in written(outcome.record)


PIECES = {
    "with the other stream between": "for piece in SECRET:\n    print(piece, end='', flush=True)\n"
    "    print('.', file=sys.stderr, flush=True)",
    "with a picture between": "from IPython.display import HTML, display\n"
    "for piece in SECRET:\n    print(piece, end='', flush=True); display(HTML('<hr>'))",
}


@pytest.mark.parametrize("how", PIECES)
def test_a_secret_whose_pieces_are_apart_cannot_be_put_together(tmp_path: Path, how: str) -> None:
    """Whoever reads the stream's outputs one after the other must not read the value."""
    outcome = run(small.request(tmp_path, OPENING, PIECES[how], small.verdict("ok")))
    assert said(outcome.record, "stdout") == "[redacted:KLUTR_DATABASE_URL password]"


def test_the_statement_counts_what_was_masked_once(tmp_path: Path) -> None:
    """An auditor reads how often, and a notebook is saved many times."""
    show = "import os\nprint(os.environ['KLUTR_DATABASE_URL'].split(':')[2].split('@')[0])"
    outcome = run(small.request(tmp_path, show, "1", "2", small.verdict("ok")))
    stated = json.loads((outcome.record / "run.json").read_text())["predicate"]["redaction"]["masked"]
    assert sum(stated.values()) == 1, stated


def test_of_a_flood_the_beginning_and_the_end_are_kept_and_the_record_says_how_much_is_missing(
    tmp_path: Path,
) -> None:
    """A record of thirty megabytes is read by nobody, and what went wrong stands at its end."""
    flood = "print('BEGIN')\nfor _ in range(40): print('x' * 100_000)\nprint('END')"
    outcome = run(small.request(tmp_path, flood, small.verdict("ok")))
    assert outcome.document["verdict"] == "ok"
    text = said(outcome.record)
    left = len("BEGIN\n") + 40 * 100_001 + len("END\n") - STREAM_HEAD - STREAM_TAIL
    assert text.startswith("BEGIN") and text.endswith("END\n")
    assert f"output cut: {left:,} characters" in text
    assert len(text) < STREAM_HEAD + STREAM_TAIL + 100


def test_a_secret_at_a_cut_does_not_leave_a_half(tmp_path: Path) -> None:
    """Half of a password is not found by looking for the whole one, at either side of what is cut."""
    before = STREAM_HEAD - 8
    flood = f"sys.stdout.write('x' * {before} + SECRET + 'y' * 900_000 + SECRET + 'z' * {STREAM_TAIL - 8})"
    outcome = run(small.request(tmp_path, OPENING, flood, small.verdict("ok")))
    everything = written(outcome.record)
    assert SECRET[:5] not in everything and SECRET[-5:] not in everything
    assert "output cut: 9" in everything


LOUD = {
    "an exception": "raise ValueError('x' * 9_000_000)",
    "JSON": "display({'application/json': ['x' * 1000] * 9000}, raw=True)",
    "HTML": "display(HTML('x' * 9_000_000))",
    "many outputs": "for number in range(3000): display(number)",
    "two streams by turns": "for _ in range(3000):\n    print(1, flush=True)\n"
    "    print(2, file=sys.stderr, flush=True)",
}


@pytest.mark.parametrize("what", LOUD)
def test_no_kind_of_output_makes_a_record_that_cannot_be_opened(tmp_path: Path, what: str) -> None:
    """Not only streams can be endless; the verdict of the same cell is still taken."""
    show = f"import sys\nfrom IPython.display import HTML, display\n{LOUD[what]}"
    outcome = run(small.request(tmp_path, show, small.verdict("critical")))
    assert str(outcome.status) == ("unknown" if what == "an exception" else "critical")
    assert sum(path.stat().st_size for path in outcome.record.iterdir()) < 1_000_000
    if what != "two streams by turns":
        assert "left out" in written(outcome.record)


def test_a_result_in_the_same_cell_as_a_flood_still_counts(tmp_path: Path) -> None:
    """What is cut is words, never the verdict."""
    flood = "from IPython.display import HTML, display\nfor _ in range(1500): display(HTML('x' * 9000))"
    assert str(run(small.request(tmp_path, f"{flood}\n{small.verdict('critical')}")).status) == "critical"


def test_an_output_that_is_updated_all_the_time_ends_with_its_last_state(tmp_path: Path) -> None:
    """The banner is such an output: its last state is the verdict."""
    show = (
        "from IPython.display import HTML, display\nhandle = display(HTML('x'), display_id=True)\n"
        "for _ in range(100): handle.update(HTML('y' * 60_000))\nhandle.update(HTML('LA' + 'ST'))"
    )
    outcome = run(small.request(tmp_path, show, small.verdict("ok")))
    assert "LAST" in (outcome.record / "run.html").read_text()


def test_what_a_cell_cleared_does_not_count(tmp_path: Path) -> None:
    """Progress that overwrites itself may go on for ever."""
    show = (
        "from IPython.display import clear_output\n"
        "for number in range(40): clear_output(wait=True); print('x' * 10_000, number)"
    )
    text = said(run(small.request(tmp_path, show, small.verdict("ok"))).record)
    assert text.endswith(" 39\n") and "cut" not in text


def test_runs_go_side_by_side_and_come_back_in_the_order_of_asking(tmp_path: Path) -> None:
    """Two that wait for each other can only end if they run at the same time."""
    meet = (
        "import pathlib, time\nmine, other = pathlib.Path({0!r}), pathlib.Path({1!r})\nmine.touch()\n"
        "end = time.monotonic() + 30\n"
        "while not other.exists() and time.monotonic() < end: time.sleep(0.01)\nassert other.exists()"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    first = small.request(tmp_path / "a", meet.format(one, two), small.verdict("warning"))
    second = small.request(tmp_path / "b", meet.format(two, one), small.verdict("ok"))
    outcomes = run_many([first, second], jobs=2)
    assert [str(outcome.status) for outcome in outcomes] == ["warning", "ok"]


def test_runs_do_not_see_each_other(tmp_path: Path) -> None:
    """A kernel of its own for each, so a variable of one is not in the other."""
    look = "assert 'mark' not in globals()\nmark = 1"
    asked = [small.request(tmp_path / name, look, small.verdict("ok")) for name in "ab"]
    assert [str(outcome.status) for outcome in run_many(asked)] == ["ok", "ok"]


HEAVY = """
import sys
from opslib.runner import client, execute, notebooks, seal
heavy = ("jupyter_server", "jupyterlab", "rfc3987_syntax", "pandas")
print([name for name in heavy if sys.modules.get(name)])
"""


def test_an_archive_that_is_a_file_is_said_before_anything_is_run(tmp_path: Path) -> None:
    """Wrong usage ends with code 64 and no kernel."""
    asked = small.request(tmp_path, "1 / 0")
    asked.archive.write_text("not a folder")
    with pytest.raises(ArchiveError) as raised:
        run(asked)
    assert raised.value.exit_code == 64 and str(asked.archive) in raised.value.message
    assert not list((tmp_path / "home").rglob("*.ipynb"))


def test_papermill_with_our_engine_masks_too(tmp_path: Path) -> None:
    """`papermill --engine opslib` is the same execution with papermill's own command line."""
    opening = "import os\nprint(os.environ['KLUTR_DATABASE_URL'])"
    source = small.procedure(tmp_path, opening, small.verdict("ok")).path
    words = [sys.executable, "-m", "papermill", "--engine", "opslib"]
    words += [str(source), str(tmp_path / "out.ipynb")]
    words += ["-p", "system", "klutr", "-p", "environment", "production"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    out = (tmp_path / "out.ipynb").read_text()
    assert SECRET not in out + done.stdout + done.stderr
    assert "[redacted:" in out and "application/vnd.opslib.run+json" in out


def test_the_runner_never_imports_a_jupyter_server(tmp_path: Path) -> None:
    """Half a second and a web server are not needed to run a notebook."""
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SPOILT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no source": lambda cell: cell.pop("source"),
    "a number as source": lambda cell: cell.update(source=5),
    "no outputs": lambda cell: cell.pop("outputs"),
    "outputs of nothing": lambda cell: cell.update(outputs=None),
    "no count": lambda cell: cell.pop("execution_count"),
    "no metadata": lambda cell: cell.pop("metadata"),
    "a type that nobody knows": lambda cell: cell.update(cell_type="cod"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_notebook_with_a_spoilt_cell_is_never_run_past_it(tmp_path: Path, how: str) -> None:
    """A cell that is passed over has looked at nothing, whatever the others find."""
    asked = small.request(tmp_path, "1 + 1", small.verdict("ok"))
    path = asked.procedure.path
    notebook = json.loads(path.read_text())
    SPOILT[how](notebook["cells"][2])
    path.write_text(json.dumps(notebook))
    document = run(asked).document
    assert (document["verdict"], document["cause"]["id"]) == ("unknown", "procedure-broke")
    assert "cannot be read" in document["cause"]["text"] and path.name in document["cause"]["text"]
