"""`opslib witness`: two teams hold each other's head with a few commands and one file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from opslib import doctor, home
from opslib.cli import verifying
from opslib.config.witnesses import load_witnesses, read_witnesses
from opslib.errors import ConfigError
from opslib.verdict import Status
from tests import servers, shop
from tests.evidencing import Kept
from tests.shop import Project
from tests.test_cli import Shell
from tests.test_witness_service import Process
from tests.witnessing import service, written

SLOTS = """
slots:
  - {id: hourly, procedure: too-warm, system: shop, environment: production, cron: "0 * * * *", owner: me}
"""


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return the shell."""
    return Shell(capsys)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of the test's own."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


@pytest.fixture
def project(one_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The same with one sealed run."""
    monkeypatch.chdir(tmp_path)
    return shop.copied(one_run, tmp_path, monkeypatch)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is ended after the test."""
    with ExitStack() as opened:
        yield opened


def partner(project: Project, stack: ExitStack, opslib: Shell) -> Process:
    """Have another team witness our log; what each gives the other is what the commands print."""
    assert opslib("witness", "key", "--json") == 0
    ours = json.loads(opslib.out)["log"]
    file = written(project.root / "partner.yml", serves={"name": "partner.example/w", "logs": [ours]})
    process = Process(project.root / "partner", file)
    stack.callback(process.kill)
    configured(project, {"name": "partner", "kind": "c2sp", "url": process.url, "key": process.key})
    return process


def configured(project: Project, *witnesses: dict[str, Any], **more: Any) -> None:
    """Write parameters/witnesses.yml."""
    written(project.root / "parameters" / "witnesses.yml", witnesses=list(witnesses), **more)


def told(opslib: Shell, *words: str, code: int = 0) -> Any:
    """Return what a command says as JSON."""
    assert opslib(*words, "--json") == code, opslib.err + opslib.out
    return json.loads(opslib.out)


def report(opslib: Shell, *words: str, code: int = 0) -> Any:
    """Verify the archive and return the report."""
    (found,) = told(opslib, "verify", *words, code=code)["reports"]
    return found


def test_another_team_holds_our_head_and_every_screen_says_so(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """From one line on a piece of paper to a record that is witnessed."""
    partner(project, stack, opslib)
    assert told(opslib, "show", "latest")["witnessed"] == "sealed, not yet witnessed"
    assert report(opslib)["witnessed"] == "partner holds 0 leaves"
    said = told(opslib, "witness", "ask")
    assert [one["status"] for one in said["witnesses"]] == ["ok"] and said["completed"] == 1
    assert told(opslib, "show", "latest")["witnessed"] == "witnessed by 1 of 1"
    assert told(opslib, "history")["runs"][0]["witnessed"] == "witnessed by 1 of 1"
    record = Path(told(opslib, "show", "latest")["record"])
    assert verifying.witnessed(project.archive, record) == "witnessed by 1 of 1"
    assert opslib("history") == 0 and "witnessed by 1 of 1" in opslib.out
    assert opslib("show", "latest") == 0 and "Log:    witnessed by 1 of 1" in opslib.out
    assert opslib("witness", "list") == 0 and "3 leaves" in opslib.out
    found = report(opslib, "--witnesses")
    assert found["sound"] and found["witnessed"] == "partner holds 3 leaves"
    assert not [text for text in found["unproven"] if "witness" in text]
    assert report(opslib, "latest")["witnessed"] == "witnessed by 1 of 1"


def test_a_witness_is_given_the_new_key_of_the_log(project: Project, opslib: Shell, stack: ExitStack) -> None:
    """Until then it refuses, which is said with what to hand over; what it holds can still be read."""
    process = partner(project, stack, opslib)
    old = told(opslib, "witness", "key")["log"]
    assert told(opslib, "witness", "ask")["witnesses"][0]["status"] == "ok"
    assert opslib("keys", "rotate", "log") == 0 and "Give that key to those who witness" in opslib.out
    new = told(opslib, "witness", "key")["log"]
    (refused,) = told(opslib, "witness", "ask", code=3)["witnesses"]
    assert refused["status"] == "unknown" and refused["text"].endswith(new) and new != old
    assert told(opslib, "witness", "held")["heads"][0]["text"] == "3 leaves"
    process.kill()
    names = {"name": "partner.example/w", "logs": [old, new]}
    again = Process(project.root / "partner", written(project.root / "partner.yml", serves=names))
    stack.callback(again.kill)
    configured(project, {"name": "partner", "kind": "c2sp", "url": again.url, "key": again.key})
    assert told(opslib, "witness", "ask")["witnesses"][0]["status"] == "ok"
    assert report(opslib, "--witnesses")["witnessed"] == "partner holds 4 leaves"
    assert opslib("witness", "policy") == 0 and f"log {old}" in opslib.out and f"log {new}" in opslib.out


def test_without_witnesses_nothing_changes(project: Project, opslib: Shell) -> None:
    """Neither a screen nor a document speaks of what nobody has set up."""
    assert "witnessed" not in told(opslib, "show", "latest")
    assert "witnessed" not in told(opslib, "history")["runs"][0] and "witnessed" not in report(opslib)
    assert opslib("history") == 0 and "LOG" not in opslib.out
    for words in (["ask"], ["list"], ["held"]):
        assert opslib("witness", *words) == 64 and "names no witness" in opslib.err
    assert opslib("witness", "serve") == 64 and "nobody's log" in opslib.err
    assert opslib("verify", "--witnesses") == 64 and "names none" in opslib.err
    assert opslib("witness", "policy") == 0 and opslib.out.endswith("quorum none\n")


def test_yesterdays_archive_is_seen_through_by_the_witness(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """Offline it looks sound; asked, it does not, and from then on not offline either."""
    partner(project, stack, opslib)
    told(opslib, "witness", "ask")
    shutil.copytree(project.archive, project.root / "before")
    assert opslib("run", "too-warm", "--system", "shop") == 0
    told(opslib, "witness", "ask")
    shutil.rmtree(project.archive)
    shutil.copytree(project.root / "before", project.archive)
    assert report(opslib)["sound"]
    assert {one["kind"] for one in report(opslib, "--witnesses", code=2)["findings"]} == {"truncated"}
    (said,) = told(opslib, "witness", "ask", code=2)["witnesses"]
    assert said["status"] == "critical" and "it was cut back" in said["text"]
    assert {one["kind"] for one in report(opslib, code=2)["findings"]} == {"truncated"}


def test_a_witness_that_is_away_stops_no_run_and_is_asked_again(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """The exit code of asking is 3, that of a run and of a tick its own."""
    process = partner(project, stack, opslib)
    process.kill()
    assert opslib("run", "too-warm", "--system", "shop") == 0
    (said,) = told(opslib, "witness", "ask", code=3)["witnesses"]
    assert said["status"] == "unknown"
    project.schedule(SLOTS)
    done = told(opslib, "schedule", "tick")
    assert done["verdict"] == "ok" and done["witnesses"][0]["status"] == "unknown"
    assert "opslib: witness partner: it cannot be reached" in opslib.err
    (away,) = [text for text in report(opslib, "--witnesses", code=3)["unproven"] if "partner" in text]
    assert "partner could not be asked" in away
    again = Process(project.root / "partner", project.root / "partner.yml")
    stack.callback(again.kill)
    configured(project, {"name": "partner", "kind": "c2sp", "url": again.url, "key": again.key})
    done = told(opslib, "schedule", "tick")
    assert done["witnesses"][0]["status"] == "ok"
    assert told(opslib, "show", "latest")["witnessed"] == "witnessed by 1 of 1"


def test_a_damaged_file_of_witnesses_stops_no_tick_and_hides_no_verification(
    project: Project, opslib: Shell
) -> None:
    """What is due runs; whoever verifies is told that they cannot."""
    configured(project, {"name": "partner", "kind": "c2sp", "url": "https://x.example"})
    project.schedule(SLOTS)
    assert told(opslib, "schedule", "tick")["verdict"] == "ok"
    assert "witnesses were not asked" in opslib.err
    for words in (["verify"], ["show", "latest"], ["witness", "ask"]):
        assert opslib(*words) == 64 and "witnesses.yml:1: witnesses" in opslib.err


def test_what_the_policy_prints_lets_an_auditor_verify(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """On another machine, without our file."""
    partner(project, stack, opslib)
    told(opslib, "witness", "ask")
    assert opslib("witness", "policy") == 0
    policy, keys = project.root / "policy", project.root / "keys.txt"
    policy.write_text(opslib.out)
    keys.write_text(runner())
    (project.root / "parameters" / "witnesses.yml").unlink()
    words = ["--policy", str(policy), "--runner-keys", str(keys)]
    assert report(opslib, *words)["sound"]
    shutil.rmtree(project.archive / "log" / "cosigned")
    assert {one["kind"] for one in report(opslib, *words, code=2)["findings"]} == {"unwitnessed"}


def runner() -> str:
    """Return the public key of this machine's runner."""
    from opslib.keys.machine import machine_key

    return f"{machine_key('runner').public.line}\n"


def test_heads_are_read_back_for_a_verification_elsewhere(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """One file a witness; the exit code says when one is missing."""
    partner(project, stack, opslib)
    told(opslib, "witness", "ask")
    assert opslib("witness", "held", "--save", "heads") == 0 and "3 leaves" in opslib.out
    assert report(opslib, "--checkpoint", "heads/partner")["sound"]
    gone = {"name": "gone", "kind": "git", "remote": str(project.root / "nowhere")}
    configured(project, gone, quorum=0)
    assert told(opslib, "witness", "held", code=3)["heads"][0]["status"] == "unknown"


def test_a_young_log_may_wait_for_its_first_witness_and_an_old_one_may_not(
    project: Project, opslib: Shell, stack: ExitStack
) -> None:
    """Whoever has just set one up must not be alarmed by their own log."""
    process = partner(project, stack, opslib)
    assert report(opslib)["sound"] and report(opslib, "latest")["sound"]
    one = {"name": "partner", "kind": "c2sp", "url": process.url, "key": process.key}
    configured(project, one, late_hours=0)
    assert {one["kind"] for one in report(opslib, code=2)["findings"]} == {"unwitnessed"}
    assert {one["kind"] for one in report(opslib, "latest", code=2)["findings"]} == {"unwitnessed"}


KEY = "w.example/1+"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("witnesses: [{name: a, kind: c2sp, url: https://x.example}]", "a witness of kind c2sp has a `key`"),
        ("witnesses: [{name: a, kind: git}]", "a witness of kind git has a `remote`"),
        ("witnesses: [{name: A b, kind: git, remote: /x}]", "name: must be small letters"),
        ("witnesses: [{name: a, kind: git, remote: x}]", "remote: must be a git remote"),
        ("witnesses: [{name: a, kind: git, remote: --upload-pack=x:y}]", "remote: must be a git remote"),
        ("witnesses: [{name: a, kind: git, remote: /x, branch: ../y}]", "must be the name of a branch"),
        ("witnesses: [{name: a, kind: git, remote: /x, url: https://x.example}]", "`url` is not for a"),
        ("witnesses: [{name: a, kind: post, remote: /x}]", "kind: must be one of"),
        ("witnesses: [{name: a, kind: c2sp, url: x, key: y}]", "must be an address"),
        ("witnesses: [{name: a, kind: c2sp, url: https://x.example, key: y}]", "must be a key of the form"),
        ("witnesses: [{nam: a}]", "did you mean name?"),
        ("witnesses: [{name: a, kind: git, remote: /x}, {name: a, kind: git, remote: /y}]", "on line 1 too"),
        ("witnesses: [{name: none, kind: git, remote: /x}]", "none has a meaning of its own"),
        ("witnesses: [{name: a, kind: git, remote: /x}]\nquorum: 1", "0 are of kind c2sp"),
        ("witnesses: [{name: a, kind: git, remote: 'https://me:secret@x.example/y'}]", "keep the value out"),
        ("serves: {name: x y, logs: []}", "must be a name without spaces"),
        ("quorum: -1", "quorum"),
        ("late_hours: soon", "late_hours: must be a number"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_itself_the_key_and_what_to_do(tmp_path: Path, content: str, says: str) -> None:
    """Whoever wrote it can mend it from the message alone."""
    path = tmp_path / "witnesses.yml"
    path.write_text(content)
    with pytest.raises(ConfigError) as raised:
        read_witnesses(path)
    assert "witnesses.yml" in raised.value.message
    assert says in f"{raised.value.message} {raised.value.hint}", raised.value.message
    assert "secret@" not in raised.value.message


def test_the_file_is_found_where_all_parameters_are(bare: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable, else upwards; without one nobody witnesses anything."""
    assert not load_witnesses().witnesses and home.parameters_file("witnesses.yml") is None
    configured(bare, {"name": "a", "kind": "git", "remote": "/x"})
    assert [one.name for one in load_witnesses().witnesses] == ["a"]
    path = bare.root / "parameters" / "witnesses.yml"
    assert home.parameters_file("witnesses.yml") == path
    monkeypatch.delenv("OPSLIB_PARAMETERS")
    monkeypatch.chdir(bare.notebooks)
    assert home.parameters_file("witnesses.yml") == path
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(bare.root))
    assert home.parameters_file("witnesses.yml") == path


def test_the_doctor_reads_the_file_and_the_keys_in_it(bare: Project) -> None:
    """A key that does not fit is found now, and not when the first head is not cosigned."""

    def line() -> Any:
        lines = doctor.examine(bare.archive, None, "production").lines
        return next((one for one in lines if one.what == "parameters/witnesses.yml"), None)

    assert line() is None
    kept = Kept(bare.root / "other")
    one = {"name": "a", "kind": "c2sp", "url": "https://x.example", "key": kept.witness.verifier.text}
    configured(bare, one, serves={"name": "w", "logs": [kept.signer.verifier.text]})
    assert line().status is Status.OK and line().seen == "1 witnesses, 1 logs witnessed"
    configured(bare, {**one, "key": kept.signer.verifier.text})
    assert line().status is Status.CRITICAL and "is not a witness's" in line().seen


@pytest.mark.parametrize(
    ("listen", "says"),
    [("8720", "is no HOST:PORT"), ("127.0.0.1:x", "is no HOST:PORT"), ("127.0.0.1:99999", "is no HOST:PORT"),
     ("127.0.0.1:{taken}", "address already in use"), ("192.0.2.1:8720", "--listen 192.0.2.1:8720")],
)  # fmt: skip
def test_a_place_where_nobody_can_listen_is_named(
    bare: Project, opslib: Shell, listen: str, says: str
) -> None:
    """Before anything is served."""
    kept = Kept(bare.root / "other")
    written(
        bare.root / "parameters" / "witnesses.yml",
        serves={"name": "w.example/1", "logs": [kept.signer.verifier.text]},
    )
    with servers.serving(servers.reply()) as url:
        assert opslib("witness", "serve", "--listen", listen.format(taken=url.rpartition(":")[2])) == 64
    assert says.lower() in opslib.err.lower()


def test_the_key_of_a_witness_is_printed_with_what_to_do_with_it(project: Project, opslib: Shell) -> None:
    """It is made when it is asked for, and stays."""
    other = service(project.root, Kept(project.root / "other"))
    written(
        project.root / "parameters" / "witnesses.yml",
        serves={"name": "w.example/1", "logs": [other.logs[0].text]},
    )
    first = told(opslib, "witness", "key")
    assert first["witness"].startswith(KEY) and first == told(opslib, "witness", "key")
    assert opslib("witness", "key") == 0 and "serves: logs:" in opslib.out
    assert (project.home / "keys" / "witness_ed25519").stat().st_mode & 0o077 == 0
