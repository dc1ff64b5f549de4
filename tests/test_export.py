"""What an auditor gets: one zip, checked offline by a script or a page, that can be bent nowhere unseen."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opslib.errors import ArchiveError, UsageError
from opslib.evidence import zipping
from opslib.evidence.envelopes import Envelope
from opslib.evidence.events import Disposal, Hold, Subject
from opslib.evidence.exporting import Asked, Export, Keys, export
from opslib.evidence.population import Extent, Row, sheet
from opslib.evidence.signing import sign_statement
from opslib.evidence.verifier import verified_folder
from tests import shop
from tests.attacks import flip
from tests.evidencing import BEGAN, Kept, key, later
from tests.shop import Project

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
GIVEN = """async (packed) => {
    const zip = Uint8Array.from(atob(packed), (one) => one.charCodeAt(0));
    await check([new File([zip], "again.zip")]);
    return document.querySelector("#verdict strong").innerText;
}"""
RUNS, SAMPLE = 30, 5
EXTENT = Extent("CC7.4", ("site-down", "database-connections"), BEGAN, later(RUNS))
FORMULA = '=HYPERLINK("http://evil.example","x")'


def archive(folder: Path) -> tuple[Kept, bytes]:
    """Return an archive of thirty runs, and the head that it had after ten."""
    kept = Kept(folder / "archive")
    for number in range(RUNS):
        procedure = ("site-down", "database-connections", "rollback")[number % 3]
        verdict = ("ok", "warning", "critical")[number % 7 % 3]
        kept.run(number, procedure=procedure, verdict=verdict, actor=FORMULA if number == 4 else "ana")
        if number == 9:
            head = (kept.log.folder / "checkpoint").read_bytes()
    kept.begin("dead", later(RUNS - 0.5))
    return kept, head


def keys(kept: Kept) -> Keys:
    """Return whom the auditor is to believe."""
    return Keys(kept.policy, f"{kept.runner.public.line} runner\n", kept.trusted(), kept.runner)


def handed_over(kept: Kept, target: Path, **asked: Any) -> Export:
    """Export a sample of the control."""
    return export(kept.archive, target, Asked(**{"extent": EXTENT, "count": SAMPLE, **asked}), keys(kept))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, Export]:
    """An archive, and what was handed over of it."""
    folder = tmp_path_factory.mktemp("made")
    kept, head = archive(folder)
    return kept, handed_over(kept, folder / "evidence.zip", earlier=head)


@pytest.fixture
def unpacked(made: tuple[Kept, Export], tmp_path: Path) -> Path:
    """A folder of the auditor's, into which the zip was unpacked."""
    folder = tmp_path / "auditor"
    with zipfile.ZipFile(made[1].path) as packed:
        packed.extractall(folder)
    return folder


def said(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Run the script of the zip, in a Python that can import nothing else and an empty environment."""
    words = [sys.executable, "-I", "-S", "verify_evidence.py", ".", *more, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env={})
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def rows(folder: Path, name: str = "population.csv") -> list[dict[str, str]]:
    """Return the rows of a sheet."""
    return list(csv.DictReader(io.StringIO((folder / name).read_bytes().decode())))


def test_the_script_in_the_zip_finds_it_sound(unpacked: Path) -> None:
    """With nothing but Python; an open run younger than a day is told, and no fault."""
    code, found = said(unpacked)
    assert code == 0 and found["sound"], found
    assert found["records"] == 21 and found["leaves"] == RUNS * 3 + 2
    assert [(one["kind"], one["subject"]) for one in found["findings"]] == [("running", "dead")]


def test_what_was_handed_over_is_what_the_auditor_finds(made: tuple[Kept, Export], unpacked: Path) -> None:
    """It is verified before it leaves the house."""
    _, found = said(unpacked)
    assert made[1].report.sound and found["findings"] == made[1].report.to_dict()["findings"]


def test_the_population_has_every_run_of_the_control_and_no_other(unpacked: Path) -> None:
    """One row each in the order of the log, with what the log and the signed record say."""
    found = rows(unpacked)
    wanted = [f"run-{number:04d}" for number in range(RUNS) if number % 3 != 2]
    assert [row["run"] for row in found if row["state"] == "sealed"] == wanted
    assert [row["run"] for row in found if row["state"] == "open"] == ["dead"]
    third = found[2]
    assert (third["run"], third["verdict"], third["procedure"]) == ("run-0003", "ok", "site-down")
    assert third["requested"] == third["started"] == third["scheduled_for"] == "2026-11-21T06:00:00.000Z"
    assert third["finished"] == "2026-11-21T06:00:30.000Z" and third["log_index"] == "11"
    envelope = unpacked / "runs/2026/11/21/run-0003/run.dsse.json"
    assert third["record_sha256"] == hashlib.sha256(envelope.read_bytes()).hexdigest()


def test_population_and_log_reconcile(unpacked: Path, made: tuple[Kept, Export]) -> None:
    """Every leaf of the period is explained, and the figures add up."""
    figures, leaves = made[1].manifest.counts, rows(unpacked, "log.csv")
    assert [int(row["log_index"]) for row in leaves] == list(range(RUNS * 3 + 2))
    assert figures["leaves"] == len(leaves) == 20 * 3 + 2 + 10 * 3
    assert figures["leaves: other control"] == 30 and figures["leaves: other event"] == 0
    assert figures["runs"] == figures["runs sealed"] + figures["runs open"] == 21
    text = (unpacked / "README.txt").read_text()
    for name, count in figures.items():
        assert any(line.split() == [*name.split(), str(count)] for line in text.splitlines()), name


def test_only_a_sample_is_whole_and_of_the_others_what_was_signed(unpacked: Path) -> None:
    """Notebook, page and proof of those that were drawn, and the statement of all."""
    assert len(list(unpacked.rglob("run.dsse.json"))) == 20
    assert len(list(unpacked.rglob("run.ipynb"))) == len(list(unpacked.rglob("run.tlog-proof"))) == SAMPLE


def test_the_sample_can_be_drawn_by_hand(unpacked: Path, made: tuple[Kept, Export]) -> None:
    """As the letter says it: `sed`, `printf` and `sha256sum`."""
    text = (unpacked / "README.txt").read_text()
    (command,) = [line.strip() for line in text.splitlines() if line.strip().startswith("sed ")]
    seed = shell(command, unpacked).split()[0]
    assert seed in text
    kept = [row["run"] for row in rows(unpacked) if row["state"] == "sealed"]
    numbers = {run: shell(f"printf '%s' '{seed} {run}' | sha256sum", unpacked) for run in kept}
    assert tuple(sorted(kept, key=numbers.__getitem__)[:SAMPLE]) == made[1].manifest.drawn


def shell(command: str, folder: Path) -> str:
    """Run what a person would type."""
    if shutil.which("sha256sum") is None:
        command = command.replace("sha256sum", "shasum -a 256")
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_word_of_the_auditor_draws_another_sample(made: tuple[Kept, Export], tmp_path: Path) -> None:
    """So whoever exports gains nothing by waiting for a head that suits."""
    other = handed_over(made[0], tmp_path / "a.zip", word="blue heron's")
    assert other.manifest.drawn != made[1].manifest.drawn and other.report.sound
    with zipfile.ZipFile(other.path) as packed:
        packed.extractall(tmp_path / "a")
    text = (tmp_path / "a" / "README.txt").read_text()
    (command,) = [line.strip() for line in text.splitlines() if line.strip().startswith("{ sed ")]
    assert shell(command, tmp_path / "a").split()[0] in text
    assert not any("with a word of yours" in why for why in other.report.unproven)
    assert any("with a word of yours" in why for why in made[1].report.unproven)


def test_the_same_archive_gives_the_same_bytes(made: tuple[Kept, Export], tmp_path: Path) -> None:
    """Two people who export the same hold the same."""
    one, other = (handed_over(made[0], tmp_path / name).path for name in ("a.zip", "b.zip"))
    assert one.read_bytes() == other.read_bytes()


def test_without_a_number_all_records_are_whole(made: tuple[Kept, Export], tmp_path: Path) -> None:
    """And nothing is said of a draw."""
    whole = handed_over(made[0], tmp_path / "a.zip", count=None)
    assert len(whole.manifest.drawn) == 20 and whole.report.sound
    assert not any("drawn" in why for why in whole.report.unproven)


def test_no_cell_is_a_formula(unpacked: Path) -> None:
    """A spreadsheet that opens the population must not do what an actor's name says."""
    assert rows(unpacked)[3]["actor"] == f"'{FORMULA}"
    row = Row(*["x"] * 15)
    for poison in ("=1", "+1", "-1", "@x", "\t=1", "\r1", " =1", "\n", "\uff1d1", "\0=1"):
        line = sheet(Row, [Row(**{**vars(row), "actor": poison})])
        assert f'"\'{poison}"'.encode() in line
    assert b'"2026-11-21"' in sheet(Row, [Row(**{**vars(row), "actor": "2026-11-21"})])


def record(folder: Path, name: str = "run.ipynb") -> Path:
    """Return a file of a record that was drawn."""
    return sorted(folder.rglob(name))[0]


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file; it must be there."""
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode(), 1))


def drop_row(folder: Path, name: str, number: int) -> None:
    """Take a row out of a sheet."""
    lines = (folder / name).read_bytes().split(b"\r\n")
    del lines[number]
    (folder / name).write_bytes(b"\r\n".join(lines))


def swap_sample(folder: Path) -> None:
    """Have the records of another run in the place of one that was drawn."""
    drawn = record(folder).parent
    other = next(
        path.parent
        for path in sorted(folder.rglob("run.dsse.json"))
        if not (path.parent / "run.ipynb").exists()
    )
    for path in list(drawn.iterdir()):
        if path.name != "run.dsse.json":
            path.rename(other / path.name)


def resigned(folder: Path, change: Callable[[dict[str, Any]], object], signer: int = 2) -> None:
    """Change the manifest as whoever holds the runner's key can: digests fit again, and it is signed."""
    told = json.loads(Envelope.parse((folder / "export.dsse.json").read_bytes()).payload)
    change(told)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "export.dsse.json"]
    told["subject"] = [
        {
            "name": path.relative_to(folder).as_posix(),
            "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        }
        for path in files
    ]
    (folder / "export.dsse.json").write_bytes(sign_statement(json.dumps(told).encode(), key(signer)))


def other_sample(told: dict[str, Any]) -> None:
    """Name other runs as drawn."""
    told["predicate"]["draw"]["runs"] = told["predicate"]["draw"]["runs"][1:]


def dropped_with_key(folder: Path) -> None:
    """Take a run out of the population, and sign that."""
    drop_row(folder, "population.csv", 3)
    resigned(folder, lambda told: None)


def left_out_with_key(folder: Path) -> None:
    """Leave the signed statement of a run out, and sign that."""
    shutil.rmtree(folder / "runs/2026/11/21/run-0003")
    resigned(folder, lambda told: None)


def bettered_with_key(folder: Path) -> None:
    """Say another verdict in the population, and sign that."""
    edit(folder / "population.csv", '"critical"', '"ok"')
    resigned(folder, lambda told: None)


def another_proof(folder: Path) -> None:
    """Spoil the proof that the log continues an earlier head, and sign that."""
    lines = (folder / "consistency").read_text().splitlines()
    (folder / "consistency").write_text("".join(f"{line}\n" for line in lines[1:]))
    resigned(folder, lambda told: None)


def fewer_procedures(told: dict[str, Any]) -> None:
    """Say that runs of one procedure were not asked for."""
    told["predicate"]["procedures"] = ["site-down"]


TAMPERINGS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a row is dropped": (lambda folder: drop_row(folder, "population.csv", 4), {"deleted", "file-edited"}),
    "a row is added": (
        lambda folder: edit(folder / "population.csv", '\r\n"run-0000"', '\r\n"run-9"\r\n"run-0000"'),
        {"forged", "file-edited"},
    ),
    "a verdict is bettered": (
        lambda folder: edit(folder / "population.csv", '"critical"', '"ok"'), {"file-edited"},
    ),
    "a leaf is left out": (lambda folder: drop_row(folder, "log.csv", 9), {"deleted", "file-edited"}),
    "a record is removed": (lambda folder: shutil.rmtree(record(folder).parent), {"deleted", "file-edited"}),
    "a notebook is edited": (lambda folder: flip(record(folder), 5), {"file-edited", "notebook-edited"}),
    "a page is edited": (lambda folder: flip(record(folder, "run.html"), 1), {"file-edited"}),
    "a signed record is edited": (
        lambda folder: flip(record(folder, "run.dsse.json")), {"file-edited", "record-edited"},
    ),
    "a proof is edited": (
        lambda folder: flip(record(folder, "run.tlog-proof"), 40), {"file-edited", "proof-edited"},
    ),
    "the sample is swapped": (swap_sample, {"deleted", "forged"}),
    "the head is edited": (lambda folder: flip(folder / "log/checkpoint", 25), {"file-edited", "log-edited"}),
    "the earlier head is edited": (
        lambda folder: flip(folder / "checkpoints/earlier", 25), {"file-edited", "proof-edited", "forked"},
    ),
    "a leaf is edited": (
        lambda folder: flip(record(folder / "log/tile/entries", "92"), 300), {"file-edited", "log-edited"},
    ),
    "the letter is edited": (lambda folder: edit(folder / "README.txt", "CC7.4", "CC7.5"), {"file-edited"}),
    "the page is edited": (lambda folder: flip(folder / "index.html"), {"file-edited"}),
    "a file is added": (lambda folder: (folder / "more.txt").write_text("x"), {"forged"}),
    "the list is edited": (lambda folder: flip(folder / "export.dsse.json", 200), {"record-edited"}),
    "the list is gone": (lambda folder: (folder / "export.dsse.json").unlink(), {"record-edited"}),
    "with the runner's key a sample of fewer than none": (
        lambda folder: resigned(folder, lambda told: told["predicate"]["draw"].update(count=-1)),
        {"record-edited"},
    ),
    "with the runner's key another sample": (lambda folder: resigned(folder, other_sample), {"swapped"}),
    "with the runner's key a row less": (dropped_with_key, {"deleted", "file-edited"}),
    "with the runner's key a record less": (left_out_with_key, {"deleted", "file-edited"}),
    "with the runner's key another verdict": (bettered_with_key, {"file-edited"}),
    "with the runner's key other figures": (
        lambda folder: resigned(folder, lambda told: told["predicate"]["counts"].update(runs=3)), {"forged"},
    ),
    "with the runner's key another proof": (another_proof, {"forked"}),
    "with the runner's key fewer procedures": (
        lambda folder: resigned(folder, fewer_procedures), {"file-edited", "forged", "swapped"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_is_done_to_it_afterwards_is_named(name: str, unpacked: Path) -> None:
    """By its kind; also where whoever does it can sign as the runner."""
    act, kinds = TAMPERINGS[name]
    act(unpacked)
    report = verified_folder(unpacked, {})
    assert kinds <= report.named() and not report.sound


def test_the_script_ends_with_code_2_where_something_was_done(unpacked: Path) -> None:
    """A pipe sees it, too."""
    flip(record(unpacked), 5)
    code, found = said(unpacked)
    assert code == 2 and not found["sound"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give one headless Chromium to all tests of this module."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def opened(browser: Any, folder: Path, width: int = 1280) -> Any:
    """Open the page of the zip from the disk, and return the browser's tab."""
    tab = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    tab.requests, tab.errors = [], []
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
    tab.goto((folder / "index.html").as_uri())
    return tab


def checked(tab: Any, *what: Path, into: str = "#zip") -> str:
    """Give the page what the auditor was given; return its verdict."""
    tab.set_input_files(into, list(what) if into == "#zip" else str(what[0]))
    tab.wait_for_selector("#verdict:is(.sound, .faulty, .unknown)")
    return str(tab.inner_text("#verdict strong"))


def kinds_on(tab: Any) -> set[str]:
    """Return the names of all faults that the page shows."""
    return set(tab.locator("td > b").all_inner_texts())


def zipped(folder: Path) -> Path:
    """Pack a folder again, as whoever tampered with it would."""
    target = folder.parent / "again.zip"
    target.unlink(missing_ok=True)
    zipping.write(folder, target)
    return target


@pytest.mark.browser
def test_the_page_finds_it_sound_without_a_network(
    browser: Any, made: tuple[Kept, Export], unpacked: Path
) -> None:
    """The zip, or the folder into which it was unpacked; nothing but the page itself is loaded."""
    tab = opened(browser, unpacked)
    assert checked(tab, made[1].path) == "✓ SOUND", tab.inner_text("body")
    shown = tab.inner_text("body")
    assert made[1].sha256 in shown and "21 runs" in shown and "CC7.4" in shown
    assert "no witness has cosigned this log" in shown
    tab = opened(browser, unpacked)
    assert checked(tab, unpacked, into="#folder") == "✓ SOUND", tab.inner_text("body")
    assert [url for url in tab.requests if not url.startswith(("file:", "blob:"))] == []
    assert tab.errors == []


@pytest.mark.browser
def test_the_page_names_what_the_script_names(browser: Any, unpacked: Path) -> None:
    """All tamperings, each in a zip that was packed again."""
    tab = opened(browser, unpacked)
    for name, (act, kinds) in TAMPERINGS.items():
        folder = Path(shutil.copytree(unpacked, unpacked.parent / "tampered"))
        act(folder)
        packed = base64.b64encode(zipped(folder).read_bytes()).decode()
        assert tab.evaluate(GIVEN, packed) == "✕ NOT SOUND", name
        beside = {"proof-edited"} if name == "a proof is edited" else set()
        assert kinds - beside <= kinds_on(tab), name
        shutil.rmtree(folder)
    assert tab.errors == []


@pytest.mark.browser
def test_what_the_page_cannot_read_is_no_verdict(browser: Any, unpacked: Path, tmp_path: Path) -> None:
    """Neither sound nor faulty."""
    tab = opened(browser, unpacked)
    (tmp_path / "x.zip").write_bytes(b"PK nothing")
    assert checked(tab, tmp_path / "x.zip") == "? NOT CHECKED"
    assert "this is no zip" in tab.inner_text("#verdict")


@pytest.mark.browser
def test_nothing_in_the_zip_becomes_part_of_the_page(browser: Any, tmp_path: Path, unpacked: Path) -> None:
    """A name of an actor or a file is text, whatever stands in it."""
    kept = Kept(tmp_path / "archive")
    poison = "<img src=x onerror=document.title='owned'>"
    kept.run(0, actor=poison)
    kept.run(1)
    made = handed_over(kept, tmp_path / "x.zip")
    with zipfile.ZipFile(made.path, "a") as packed:
        packed.writestr(f"{poison}.txt".replace("/", ""), "x")
    tab = opened(browser, unpacked)
    assert checked(tab, made.path) == "✕ NOT SOUND"
    assert tab.title() == "Check the evidence" and tab.locator("main img").count() == 0
    assert tab.inner_text("main").count(poison) == 2 and tab.errors == []


@pytest.mark.browser
def test_keys_of_the_auditors_own_take_the_place_of_those_in_the_zip(
    browser: Any, made: tuple[Kept, Export], unpacked: Path, tmp_path: Path
) -> None:
    """A zip that somebody signed with keys of his own is not sound to who has the right ones."""
    (tmp_path / "own").write_text(f"{key(77).public.line}\n")
    tab = opened(browser, unpacked)
    tab.set_input_files("#own-runners", str(tmp_path / "own"))
    assert checked(tab, made[1].path) == "✕ NOT SOUND" and kinds_on(tab) == {"record-edited"}


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(
    browser: Any, made: tuple[Kept, Export], unpacked: Path, width: int
) -> None:
    """Tables scroll in themselves, the page does not."""
    tab = opened(browser, unpacked, width)
    checked(tab, made[1].path)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    if place := os.environ.get("OPSLIB_SCREENSHOTS"):
        tab.screenshot(path=str(Path(place) / f"export-{width}.png"), full_page=True)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an empty period": (
        {"extent": Extent("CC7.4", ("site-down",), later(500), later(501))},
        "no run of the period",
    ),
    "no procedure that ran": (
        {"extent": Extent("CC7.4", ("vendor-status",), BEGAN, later(2))},
        "no run of the",
    ),
    "an earlier head that is none": ({"earlier": b"hello"}, "the earlier head cannot be used"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_handed_over_is_said(name: str, made: tuple[Kept, Export], tmp_path: Path) -> None:
    """And no zip is left that looks like one."""
    asked, why = BAD[name]
    with pytest.raises(UsageError, match=why):
        handed_over(made[0], tmp_path / "x.zip", **asked)
    assert list(tmp_path.iterdir()) == []


def test_a_head_of_another_log_is_refused(made: tuple[Kept, Export], tmp_path: Path) -> None:
    """Continuing it would mean nothing."""
    other = Kept(tmp_path / "other", seed=40)
    other.run(0)
    head = (other.log.folder / "checkpoint").read_bytes()
    with pytest.raises(UsageError, match="which is not this log"):
        handed_over(made[0], tmp_path / "x.zip", earlier=head)


def test_a_log_that_does_not_continue_the_earlier_head_is_not_handed_over(
    made: tuple[Kept, Export], tmp_path: Path
) -> None:
    """Its own key has signed both: somebody began it anew."""
    anew = Kept(tmp_path / "anew")
    for number in range(5):
        anew.run(number, verdict="warning")
    with pytest.raises(ArchiveError, match="forked"):
        handed_over(made[0], tmp_path / "x.zip", earlier=(anew.log.folder / "checkpoint").read_bytes())


def test_a_log_that_was_edited_is_not_handed_over(tmp_path: Path) -> None:
    """`opslib verify` is where its owner goes on."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    flip(kept.log.folder / "tile/entries/000.p/3", 100)
    with pytest.raises(ArchiveError, match="cannot be handed over"):
        handed_over(kept, tmp_path / "x.zip")


def test_an_archive_without_a_log_has_nothing_to_hand_over(tmp_path: Path) -> None:
    """The first run makes it."""
    with pytest.raises(UsageError, match="there is no log yet"):
        handed_over(Kept(tmp_path / "archive"), tmp_path / "x.zip")


def test_what_was_done_to_the_archive_before_is_handed_over_and_named(tmp_path: Path) -> None:
    """Whoever exports is told first."""
    kept = Kept(tmp_path / "archive")
    for number in range(3):
        kept.run(number)
    (kept.folder(0) / "run.dsse.json").unlink()
    flip(kept.folder(1) / "run.ipynb", 3)
    made = handed_over(kept, tmp_path / "x.zip")
    assert {(one.kind, one.subject) for one in made.report.findings} == {
        ("deleted", "run-0000"), ("notebook-edited", "run-0001"),
    }  # fmt: skip


def test_a_link_in_the_archive_takes_no_file_of_this_machine_along(tmp_path: Path) -> None:
    """Whoever may write into the archive could hand over the exporter's own files."""
    kept = Kept(tmp_path / "archive")
    folder = kept.run(0)
    (tmp_path / "private").write_text("a secret")
    (folder / "run.html").unlink()
    (folder / "run.html").symlink_to(tmp_path / "private")
    made = handed_over(kept, tmp_path / "x.zip")
    assert made.report.named() == {"deleted"}
    with zipfile.ZipFile(made.path) as packed:
        assert not [name for name in packed.namelist() if name.endswith("run.html")]


def test_a_link_among_the_heads_takes_no_file_of_this_machine_along(tmp_path: Path) -> None:
    """What others may write into the log's folder is not followed either."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    kept.cosign(later(1))
    (tmp_path / "private-key").write_text("not for auditors")
    (kept.archive / "log" / "cosigned" / "000000000001").symlink_to(tmp_path / "private-key")
    made = handed_over(kept, tmp_path / "x.zip")
    with zipfile.ZipFile(made.path) as packed:
        assert not [name for name in packed.namelist() if b"not for auditors" in packed.read(name)]


def test_nothing_is_written_over_and_a_closed_folder_is_said(
    made: tuple[Kept, Export], tmp_path: Path
) -> None:
    """The zip of last year must not be lost."""
    (tmp_path / "x.zip").write_text("last year's")
    with pytest.raises(UsageError, match="is there already"):
        handed_over(made[0], tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_text() == "last year's"
    with pytest.raises(UsageError, match="there is no such folder"):
        handed_over(made[0], tmp_path / "nowhere" / "x.zip")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(UsageError, match="permission denied"):
            handed_over(made[0], tmp_path / "closed" / "x.zip")


def test_a_run_that_says_another_procedure_than_was_asked_for_is_forged(tmp_path: Path) -> None:
    """Else a failed drill could be logged as something that no auditor asks about."""
    kept = Kept(tmp_path / "archive")
    kept.begin("odd", BEGAN, procedure="site-down")
    kept.seal(kept.publish("odd", BEGAN, procedure="rollback"), later(0.1))
    report = handed_over(kept, tmp_path / "x.zip").report
    assert report.named() == {"forged"} and "rollback" in report.findings[0].text


def test_a_witness_is_taken_along(made: tuple[Kept, Export], tmp_path: Path) -> None:
    """The heads that it cosigned are in the zip, and count where the policy asks for them."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    watched = Keys(kept.watched, f"{kept.runner.public.line}\n", kept.trusted(kept.watched), kept.runner)
    asked = Asked(EXTENT, SAMPLE)
    assert export(kept.archive, tmp_path / "a.zip", asked, watched).report.named() == {"unwitnessed"}
    kept.cosign(later(1))
    assert export(kept.archive, tmp_path / "b.zip", asked, watched).report.sound


def with_disposal(folder: Path, policy: str, *, held: bool = False) -> tuple[Kept, Export]:
    """Return an archive of two runs, one of which was destroyed, and what was handed over of it."""
    kept = Kept(folder / "archive")
    for number in range(2):
        kept.run(number)
    if held:
        kept.log.append(Hold(time=later(2), run="run-0000", state="set", reason="a dispute"))
    names = ("run.dsse.json", "run.ipynb", "run.html")
    gone = [kept.folder(0) / name for name in names]
    subjects = tuple(Subject(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in gone)
    kept.log.append(Disposal(time=later(24 * 30), run="run-0000", policy=policy, subjects=subjects))
    for path in gone:
        path.unlink()
    return kept, handed_over(kept, folder / "x.zip")


def test_a_disposed_run_stays_in_the_population(tmp_path: Path) -> None:
    """With its verdict, without its content; it is not drawn, and it is not missing."""
    made = with_disposal(tmp_path, "ops-29d: 29 days")[1]
    assert made.report.sound and made.manifest.drawn == ("run-0001",)
    with zipfile.ZipFile(made.path) as packed:
        packed.extractall(tmp_path / "auditor")
    first = rows(tmp_path / "auditor")[0]
    told = [first[name] for name in ("run", "state", "verdict", "finished")]
    assert told == ["run-0000", "disposed", "ok", ""]
    code, found = said(tmp_path / "auditor")
    assert code == 0 and "disposed" in {one["kind"] for one in found["findings"]}
    assert made.manifest.counts["runs disposed"] == 1 and made.manifest.counts["leaves: population"] == 7


@pytest.mark.browser
@pytest.mark.parametrize(
    ("policy", "held", "kinds"),
    [
        ("ops-29d: 29 days", False, set()),
        ("ops-31d: 31 days", False, {"disposed-early"}),
        ("ops-29d: 29 days", True, {"disposed-on-hold"}),
    ],
)
def test_page_and_script_agree_on_what_was_destroyed(
    browser: Any, unpacked: Path, tmp_path: Path, policy: str, held: bool, kinds: set[str]
) -> None:
    """By a rule, too early, or while it had to be kept."""
    made = with_disposal(tmp_path, policy, held=held)[1]
    assert made.report.named() == kinds
    tab = opened(browser, unpacked)
    checked(tab, made.path)
    assert kinds_on(tab) == kinds


@pytest.mark.browser
def test_the_page_counts_witnesses(browser: Any, tmp_path: Path, unpacked: Path) -> None:
    """As the script does."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    watched = Keys(kept.watched, f"{kept.runner.public.line}\n", kept.trusted(kept.watched), kept.runner)
    made = export(kept.archive, tmp_path / "a.zip", Asked(EXTENT, SAMPLE), watched)
    tab = opened(browser, unpacked)
    assert checked(tab, made.path) == "✕ NOT SOUND" and kinds_on(tab) == {"unwitnessed"}
    kept.cosign(later(1))
    made = export(kept.archive, tmp_path / "b.zip", Asked(EXTENT, SAMPLE), watched)
    tab = opened(browser, unpacked)
    assert checked(tab, made.path) == "✓ SOUND"
    assert "no witness has cosigned" not in tab.inner_text("body")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own, one procedure of which is evidence for a control."""
    monkeypatch.chdir(tmp_path)
    made = shop.build(tmp_path, monkeypatch)
    (notebook,) = made.root.rglob("too-warm.ipynb")
    edit(notebook, '"controls": []', '"controls": ["monitoring"]')
    return made


SCHEDULE = """
slots:
  - {id: rare, procedure: too-warm, system: shop, environment: production, cron: "0 3 1 1 *", owner: me}
"""


def test_the_command_hands_over_what_its_own_script_finds_sound(project: Project, tmp_path: Path) -> None:
    """From the control to the auditor's verdict, and what is to be told by another way."""
    assert project.opslib("run", "too-warm", "--system", "shop").returncode == 0
    (project.root / "parameters/schedule.yml").write_text(SCHEDULE)
    assert project.opslib("schedule", "list").returncode == 0
    assert project.opslib("annotate", "latest", "a false alarm").returncode == 0
    words = ["export", "--control", "soc2:cc7.2", "--from", "1d", "--to", "2099-01-01"]
    done = project.opslib(*words, str(tmp_path / "x.zip"))
    assert done.returncode == 0, done.stdout + done.stderr
    digest = hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
    assert f"sha256 of the zip: {digest}" in done.stdout and "SHA256:" in done.stdout
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        packed.extractall(tmp_path / "auditor")
    code, found = said(tmp_path / "auditor")
    assert code == 0 and found["records"] == 1
    assert len(list((tmp_path / "auditor/notes").glob("*/*.json"))) == 1
    again = project.opslib("verify", "--archive", str(tmp_path / "auditor"))
    assert again.returncode == 0 and "1 records" in again.stdout, again.stdout + again.stderr
    again = project.opslib("verify", "--archive", str(tmp_path / "auditor"), "--since", "2026-01-01")
    assert again.returncode == 64 and "has a period of its own" in again.stderr
    done = project.opslib(*words[:3], "--from", "9d", "--to", "8d", "z.zip")
    assert done.returncode == 64 and "no run of the period fits CC7.2" in done.stderr
    told = json.loads(project.opslib(*words, str(tmp_path / "y.zip"), "--json").stdout)
    assert (
        told["sound"]
        and told["counts"]["runs"] == 1
        and told["slots"] == []
        and told["procedures"] == ["too-warm"]
    )
    shutil.rmtree(project.archive)
    (tmp_path / "auditor").rename(project.archive)
    again = project.opslib("verify")
    assert again.returncode == 64 and "is an export, not the archive" in again.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--control", "Z9.9", "--from", "1d", "--to", "0m"), "there is no control Z9.9"),
        (("--control", "A1.3", "--from", "1d", "--to", "0m"), "no procedure is evidence for A1.3"),
        (("--control", "CC7.2", "--from", "0m", "--to", "1d"), "--from is not before --to"),
        (("--control", "CC7.2", "--from", "soon", "--to", "1d"), "'soon' is no moment"),
        (("--control", "CC7.2", "--from", "9d", "--to", "8d"), "there is no log yet"),
        (
            ("--control", "CC7.2", "--from", "1d", "--to", "0m", "--since-checkpoint", "no"),
            "no: cannot be read",
        ),
        (("--control", "CC7.2", "--from", "1d", "--to", "0m", "--word", "a\nb"), "--word is one line"),
        (("--control", "CC7.2", "--from", "1d", "--to", "0m", "--policy", "p"), "belong together"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_words(
    project: Project, words: tuple[str, ...], why: str
) -> None:
    """Code 64, the reason, and no zip."""
    done = project.opslib("export", *words, "x.zip")
    assert done.returncode == 64 and why in done.stderr, done.stderr
    assert not (project.root / "x.zip").exists()
