"""The command line: thin, quick, and clear when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import pytest

from opslib import __main__ as shell
from tests import shop
from tests.shop import Project

PLANS = """from opslib.acts import Request
from opslib.gate.plan import Draft, Risk, Target
left = {"roof": "it needs a ladder"} if degrees == 50 else {}
open_it = Target("window", {"name": "w"}, {"value": "1"}, {"value": "2"}, Request("shelf", "PUT", "/w"))
cooling = Draft("shelf", "Cool it", (open_it,) if degrees == 32 else (), Risk.LOW, "", left_out=left)
assert degrees < 99
ops.gate.plan(cooling if left or cooling.targets else None)"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


class Shell:
    """Runs command lines in this process, through the outermost shell."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        """Return the exit code; what was printed is in `out` and `err`."""
        with pytest.raises(SystemExit) as ended:
            shell.main(words)
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return the shell."""
    return Shell(capsys)


def planned(path: Path) -> None:
    """Write a procedure that would cool a room, and finds nothing that it could do."""
    shop.write_notebook(path, changes=True)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = notebook["cells"]
    cells[1]["source"] += '\nroom: str = ""  # which room\ndry_run: bool = True\napproval: str = ""'
    cells[2]["source"] = cells[2]["source"].replace(")", ", dry_run=dry_run, approval=approval)")
    cells[4]["source"] += f"\n{PLANS}"
    path.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "too-worm"], "there is no procedure too-worm; did you mean too-warm?"),
        (["run", "too-warm", "--system", "shpo"], "there is no system 'shpo'"),
        (["run", "too-warm", "--system", "shop", "--env", "prod"], "shop has no environment 'prod'"),
        (["run", "too-warm"], "which system? give --system NAME"),
        (["run", "too-warm", "--system", "shop", "-p", "degrees=abc"], "'abc' is not a whole number"),
        (["run", "too-warm", "--system", "shop", "-p", "degrees=100"], "above the largest value allowed, 99"),
        (["run", "too-warm", "--system", "shop", "-p", "degree=1"], "did you mean degrees?"),
        (["run", "too-warm", "--system", "shop", "-p", "degrees"], "not of the form name=value"),
        (["run", "too-warm", "--system", "shop", "-p", "system=x"], "system is not given with -p"),
        (["run", "too-warm", "--sytem", "shop"], "--system"),
        (["run"], "procedure"),
        (["rum"], "there is no command rum; did you mean run?"),
        (
            ["run", "too-warm", "--system", "shop", "--env", "sandbox"],
            "look at the real one: --env production",
        ),
        (["routine", "dayly", "--system", "shop"], "shop has no routine 'dayly'"),
        (["show", "123"], "no run is kept under '123'"),
        (["run", "too-warm", "--system", "shop", "--archive", "parameters/systems/shop.yml"], "shop.yml"),
        (["run", "too-warm", "--system", "shop", "--archive", "s3://records/x"], "not a URL"),
    ],
)
def test_wrong_words_end_with_64_and_one_clear_message(
    project: Project, opslib: Shell, words: list[str], says: str
) -> None:
    """Nothing is started for a command that cannot be meant."""
    assert opslib(*words) == 64
    assert says.lower() in opslib.err.lower()
    assert "Traceback" not in opslib.err and opslib.out == ""
    assert len(opslib.err.strip().splitlines()) <= 2
    assert not project.kernels_started


def test_with_json_an_error_is_one_object_on_stdout_too(project: Project, opslib: Shell) -> None:
    """A program that reads our output must not have to read prose."""
    assert opslib("run", "too-worm", "--json") == 64
    error = json.loads(opslib.out)["error"]
    assert error["exit_code"] == 64 and error["type"] == "UnknownName"
    assert "too-worm" in error["message"]


def test_a_wrong_file_names_itself_and_the_line(project: Project, opslib: Shell) -> None:
    """Whoever wrote it can mend it from the message alone."""
    path = project.root / "parameters" / "systems" / "shop.yml"
    path.write_text(path.read_text(encoding="utf-8") + "limts: {}\n", encoding="utf-8")
    assert opslib("run", "too-warm", "--system", "shop") == 64
    assert "shop.yml:" in opslib.err and "limts" in opslib.err


@pytest.mark.parametrize(
    ("degrees", "code", "word"), [("20", 0, "ok"), ("35", 1, "warning"), ("45", 2, "critical")]
)
def test_the_exit_code_of_a_run_is_its_verdict(
    project: Project, opslib: Shell, degrees: str, code: int, word: str
) -> None:
    """So that a shell script needs nothing else."""
    assert opslib("run", "too-warm", "--system", "shop", "-p", f"degrees={degrees}", "--json") == code
    document = json.loads(opslib.out)
    assert document["verdict"] == word
    assert set(document) == {
        "run_id", "procedure", "system", "environment", "verdict", "cause", "causes", "findings", "next",
        "plan", "no_plan", "changed", "record", "started_at", "finished_at", "duration_s",
    }  # fmt: skip
    assert Path(document["record"], "run.html").is_file()


def test_people_get_verdict_findings_and_where_the_record_is(project: Project, opslib: Shell) -> None:
    """The first line says it all; the rest says where to go on."""
    assert opslib("run", "too-warm", "--system", "shop", "-p", "degrees=45") == 2
    lines = opslib.out.splitlines()
    assert lines[0] == "✖ Critical: too-warm on shop (production)"
    assert any("temperature" in line and "45" in line for line in lines)
    assert any(line.startswith("Record: ") for line in lines)
    assert "\x1b[" not in opslib.out


def test_a_procedure_whose_needs_are_not_met_is_skipped_without_a_kernel(
    project: Project, opslib: Shell
) -> None:
    """The reason says what to add to which file; the verdict is unknown, never ok."""
    assert opslib("run", "needs-database", "--system", "shop", "--json") == 3
    document = json.loads(opslib.out)
    assert [finding["status"] for finding in document["findings"]] == ["skipped"]
    assert "add it to parameters/systems/shop.yml" in document["findings"][0]["why"]
    assert not (project.home / "spool").exists() or not any((project.home / "spool").iterdir())


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (
            ("degrees=20",),
            0,
            "there is nothing to change, unless it is named: room (opslib run cooling --help).",
        ),
        (("degrees=20", "room=hall"), 0, "there is nothing to change."),
        (("degrees=35",), 1, "none; this is mended by hand, see WHY, or is asked for with room (opslib run"),
        (("degrees=35", "room=hall"), 1, "none; this is mended by hand, see WHY."),
        (
            ("degrees=50", "room=hall"),
            2,
            "nothing that could be done now. Left out: roof: it needs a ladder.",
        ),
        (("degrees=99", "room=hall"), 3, "none; the run did not come that far."),
    ],
    ids=["well", "well and named", "bad", "bad and named", "left out", "broken"],
)
def test_why_there_is_no_plan_is_said_on_the_terminal_as_on_the_page(
    project: Project, opslib: Shell, given: tuple[str, ...], code: int, says: str
) -> None:
    """`there is nothing to change` would be believed where something is wrong, or was not named."""
    words = [word for pair in given for word in ("-p", pair)]
    planned(project.notebooks / "monitor" / "cooling.ipynb")
    assert opslib("plan", "cooling", "--system", "shop", *words) == code, opslib.err
    (line,) = [line for line in opslib.out.splitlines() if line.startswith("Plan: ")]
    assert line.startswith(f"Plan: {says}")
    (page,) = project.archive.rglob("run.html")
    assert code == 3 or line.rstrip(".").removeprefix("Plan: ") in unescape(page.read_text(encoding="utf-8"))


def test_a_warning_without_a_cause_claims_nothing_about_limits(project: Project, opslib: Shell) -> None:
    """Most warnings are not about a limit that is near; what they are about stands below."""
    assert opslib("run", "too-warm", "--system", "shop", "-p", "degrees=35") == 1
    assert opslib.out.splitlines()[1] == "  something is not as expected: see below"


def test_a_run_that_made_a_plan_says_so_and_how_it_goes_on(project: Project, opslib: Shell) -> None:
    """Without it the plan is kept, and nobody knows; a run that made none says nothing of plans."""
    planned(project.notebooks / "monitor" / "cooling.ipynb")
    run = ("run", "cooling", "--system", "shop", "-p")
    assert opslib(*run, "degrees=32", "-p", "room=hall", "--json") == 1
    (short,) = [json.loads(opslib.out)["plan"]["digest"].removeprefix("sha256:")[:12]]
    assert opslib(*run, "degrees=32") == 1
    told = opslib.out.partition("\nPlan ")[2].splitlines()
    assert told[0].endswith(": Cool it (window)") and told[0][:12] != short
    short = told[0][:12]
    assert told[1:4] == [
        "Nothing was changed. To go on:", f'opslib approve {short} --reason "..."', f"opslib apply {short}",
    ]  # fmt: skip
    assert opslib("plan", *run[1:], "degrees=32") == 1
    assert "asked for: degrees 32\n" in opslib.out, "what is as declared was not asked for"
    assert opslib(*run, "degrees=20") == 0 and "Plan" not in opslib.out
    assert opslib("run", "cooling", "too-warm", "--system", "shop", "-p", "degrees=32") == 1
    assert opslib.out.count(": Cool it (window)\nNothing was changed.") == 1


def test_help_for_a_procedure_lists_its_parameters(project: Project, opslib: Shell) -> None:
    """The parameters cell is the only source, for the help too."""
    assert opslib("run", "too-warm", "--help") == 0
    assert "-p degrees=20" in opslib.out
    assert "what the thermometer says" in opslib.out and "0-99" in opslib.out


def test_list_finds_procedures_by_what_was_seen(project: Project, opslib: Shell) -> None:
    """Words of an alert lead to the procedure."""
    assert opslib("list", "fan", "failure", "--json") == 0
    assert [p["id"] for p in json.loads(opslib.out)["procedures"]] == ["needs-database", "too-warm"]
    assert opslib("list", "volcano") == 0 and "No procedure names that symptom" in opslib.out


def test_list_for_a_system_tells_what_it_cannot_use(project: Project, opslib: Shell) -> None:
    """Before the night, not during it."""
    assert opslib("list", "--system", "shop") == 0
    line = next(line for line in opslib.out.splitlines() if line.startswith("needs-database"))
    assert "names no database" in line


def test_a_broken_notebook_is_told_beside_the_list(project: Project, opslib: Shell) -> None:
    """One bad file does not take the others away."""
    (project.notebooks / "monitor" / "bad.ipynb").write_text("{}", encoding="utf-8")
    assert opslib("list") == 0
    assert "too-warm" in opslib.out and "bad.ipynb" in opslib.err
    assert opslib("run", "bad", "--system", "shop") == 64 and "bad.ipynb" in opslib.err


def test_history_show_and_report_find_a_run_by_the_beginning_of_its_id(
    project: Project, opslib: Shell
) -> None:
    """A person copies as much of the id as they like."""
    opslib("run", "too-warm", "--system", "shop", "-p", "degrees=35", "--json")
    run_id = json.loads(opslib.out)["run_id"]
    assert opslib("history", "--json") == 0
    assert [run["run_id"] for run in json.loads(opslib.out)["runs"]] == [run_id]
    assert opslib("history", "too-warm", "--verdict", "ok") == 0 and "No run is kept" in opslib.out
    assert opslib("show", run_id[:13]) == 0 and "▲ Warning: too-warm" in opslib.out
    assert opslib("report", run_id[:13]) == 0 and Path(opslib.out.strip()).name == "run.html"


def test_a_routine_shows_every_item_and_ends_with_the_worst_verdict(project: Project, opslib: Shell) -> None:
    """What cannot be run says why, and does not make the verdict worse."""
    assert opslib("routine", "daily", "--system", "shop", "--json") == 0
    routine = json.loads(opslib.out)
    assert routine["verdict"] == "ok"
    assert [(item["verdict"], item["state"]) for item in routine["items"]] == [
        ("ok", "ran"),
        ("skipped", "not built"),
        ("skipped", "not possible"),
        ("skipped", "open"),
    ]


def test_a_routine_of_which_nothing_could_be_run_is_unknown(project: Project, opslib: Shell) -> None:
    """An empty list of results is not a good result."""
    assert opslib("routine", "weekly", "--system", "shop") == 3
    assert "? Unknown: weekly routine of shop" in opslib.out


def test_an_unexpected_error_is_one_line_that_names_a_masked_log(
    project: Project, opslib: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback on the terminal, no secret in the log."""
    from opslib import catalog, masking

    masking.register("token", "s3cr3t-t0ken-value")

    def broken(root: Path | None = None) -> catalog.Catalog:
        raise RuntimeError("s3cr3t-t0ken-value")

    monkeypatch.setattr(catalog, "load", broken)
    assert opslib("list") == 3
    assert "opslib itself broke: RuntimeError" in opslib.err and "s3cr3t" not in opslib.err
    (log,) = (project.home / "log").iterdir()
    assert "[redacted:token]" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["OPSLIB_HOME", "OPSLIB_ARCHIVE"])
def test_a_place_that_cannot_be_used_is_named(project: Project, name: str) -> None:
    """A file where a folder should be: one sentence, no traceback, nothing half-written."""
    blocked = project.root / "parameters" / "systems" / "shop.yml"
    done = project.opslib("run", "too-warm", "--system", "shop", **{name: str(blocked)})
    assert done.returncode == 64
    assert str(blocked) in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


@pytest.mark.parametrize("both", ["", "2>&1"])
@pytest.mark.parametrize("words", ["list", "list --json", "run too-warm --system shop", "run nonsense"])
def test_a_reader_that_leaves_early_gets_no_traceback_and_no_wrong_verdict(
    project: Project, words: str, both: str
) -> None:
    """`opslib run ... | head -1` must not end with 1: that would be the verdict "warning"."""
    command = f"{sys.executable} -m opslib {words} {both} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=project.root, check=False
    )
    assert done.stderr == "" or ("nonsense" in done.stderr and not both)
    assert done.stdout.strip() == ("64" if "nonsense" in words and not both else "141")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_130_and_keeps_the_record(project: Project, how: signal.Signals) -> None:
    """Ctrl-C, or a service manager that stops us: verdict unknown, nothing lost."""
    path = project.notebooks / "monitor" / "too-warm.ipynb"
    slow = path.read_text(encoding="utf-8").replace(
        "ops.check.below(", "import time; time.sleep(60); ops.check.below("
    )
    path.write_text(slow, encoding="utf-8")
    words = [sys.executable, "-m", "opslib", "run", "too-warm", "--system", "shop"]
    running = subprocess.Popen(
        words, cwd=project.root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not shop.begun(project) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(running.pid, how)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    (run,) = json.loads(project.opslib("history", "--json").stdout)["runs"]
    assert (run["verdict"], run["cause"]["id"]) == ("unknown", "interrupted")


def test_help_answers_at_once_because_it_loads_nothing_heavy(project: Project) -> None:
    """Neither pandas nor pydantic nor rich is needed to print a page of help."""
    program = (
        "import sys\nfrom opslib.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pandas', 'pydantic', 'rich', 'httpx', 'yaml', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "words", [["version"], ["system", "list"], ["list"], ["history"], ["schedule", "list"]]
)
def test_every_reading_command_prints_exactly_one_object_with_json(
    project: Project, opslib: Shell, words: list[str]
) -> None:
    """And nothing else on stdout."""
    assert opslib(*words, "--json") == 0
    assert isinstance(json.loads(opslib.out), dict)
