"""The archive in a browser: everything can be looked at, nothing can be changed, and nobody else gets in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from filelock import FileLock

from opslib.evidence import finished, seal
from opslib.evidence.layout import ENVELOPE
from opslib.ids import now
from opslib.runner import notary
from opslib.web import library as libraries
from opslib.web import listing
from opslib.web.server import Server
from tests import small
from tests.browsing import (
    HOUR,
    ILL,
    LONG,
    PLAIN,
    THEN,
    WELL,
    Reply,
    asked,
    every_page,
    fill,
    listed,
    run,
    served,
)
from tests.kept import NOW, keep
from tests.test_verify import append

CANARY = "c4n4ry-v4lue-0f-a-secret"
SINCE = datetime.now(UTC) - NOW  # what flutters is looked for in the last days
ALL = ["4-warning", "3-sandbox", PLAIN, ILL, WELL]


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the module's own, with the keys of this machine."""
    made = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_HOME", str(made))
        yield made


@pytest.fixture(scope="module")
def shown(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Five runs, served to tests that only look."""
    folder = tmp_path_factory.mktemp("shown")
    fill(folder)
    with served(folder) as found:
        yield found


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five runs."""
    folder = tmp_path / "archive"
    folder.mkdir()
    fill(folder)
    return folder


@pytest.fixture
def server(archive: Path) -> Iterator[Server]:
    """The five runs, served."""
    with served(archive) as found:
        yield found


def folder_of(archive: Path, run_id: str) -> Path:
    """Return the folder of a record."""
    (found,) = archive.glob(f"runs/*/*/*/{run_id}")
    return found


def contents(archive: Path) -> dict[str, str]:
    """Return the digest of every file but those of the index, which may always be made anew."""
    files = [path for path in archive.rglob("*") if path.is_file() and "index" not in path.name]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes as they stand and return all that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=30) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_the_newest_runs_come_first_with_all_that_a_person_asks(shown: Server) -> None:
    """Verdict as sign and word, what, where, when, why and by whom."""
    found = listed(shown)
    assert found.runs == ALL
    row = found.text.split(f"/runs/{ILL}")[0].rsplit("<tr", 1)[1] + found.text.split(f"/runs/{ILL}")[1]
    assert 'class="critical"' in row and "✖</span> <b>Critical</b>" in row
    assert "kulti" in row and "production" in row and "connection-leak" in row and "1 note" in row
    assert '<time datetime="2025-06-01T04:00:00.000Z">2025-06-01 04:00:00 UTC</time>' in row
    assert "ana <small>by hand</small>" in row


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ({"procedure": "locks"}, ["4-warning", "3-sandbox"]),
        ({"system": "klutr"}, [PLAIN]),
        ({"environment": "sandbox"}, ["3-sandbox"]),
        ({"verdict": "critical"}, [ILL]),
        ({"cause": "connection-leak"}, [ILL]),
        ({"trigger": "schedule"}, [PLAIN]),
        ({"actor": "bo"}, ["3-sandbox"]),
        ({"since": (THEN - 6 * HOUR).isoformat()}, ["4-warning", "3-sandbox"]),
        ({"until": (THEN - 8 * HOUR).isoformat()}, [WELL]),
        ({"since": "2025-06-01", "until": "2025-06-01", "verdict": "warning"}, ["4-warning"]),
        ({"words": "too many clients"}, [ILL]),
        ({"words": '"many clients"'}, [ILL]),
        ({"words": '"clients many"'}, []),
        ({"words": "slots", "verdict": "ok"}, [WELL]),
        ({"words": "slots", "before": ILL}, [WELL]),
        ({"procedure": "", "system": "kulti", "words": ""}, ["4-warning", "3-sandbox", ILL, WELL]),
        ({"actor": "nobody"}, []),
    ],
)
def test_every_filter_of_history_stands_in_the_address(
    shown: Server, query: dict[str, str], runs: list[str]
) -> None:
    """A link to what somebody sees can be sent to somebody else."""
    found = listed(shown, **query)
    assert found.status == 200 and found.runs == runs
    assert runs or "No run is kept that fits" in found.text


def test_the_form_knows_what_was_asked_and_what_can_be(shown: Server) -> None:
    """Who goes on filtering loses nothing, and nobody mistypes a name."""
    text = listed(shown, system="gone", words="clients", since="3d").text
    assert '<option value="gone" selected>gone</option>' in text
    assert '<option value="klutr">' in text and '<option value="connection-leak">' in text
    assert 'name="since" value="3d"' in text and '<input type="hidden" name="words" value="clients">' in text


@pytest.mark.parametrize("path", ["/?words=", "/runs/", "/?since=", "/?verdict="])
def test_words_of_an_address_can_end_no_title_and_no_heading(shown: Server, path: str) -> None:
    """What stands in a title is no code until the title is ended."""
    found = asked(shown, f"{path}{quote('</title></h1><script>x()</script>', safe='')}")
    assert "<script>x()" not in found.text and "&lt;script&gt;x()" in found.text


def test_a_moment_is_written_back_as_it_was_said(shown: Server) -> None:
    """Any sign may stand between day and time; none of them may end the field."""
    assert 'value="2025-06-01&quot;03:04"' in listed(shown, since='2025-06-01"03:04').text


@pytest.mark.parametrize("words", ["", "lag"])
def test_older_runs_are_a_link_away_and_each_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Also where several began in the same millisecond, and while new ones come."""
    monkeypatch.setattr(listing, "PAGE", 4)
    for number in range(11):
        row = {"text": "replica lag"}
        cells = [{"cell_type": "code", "outputs": [{"output_type": "stream", **row}], "source": ""}]
        keep(tmp_path, f"run-{number:02d}", timedelta(seconds=number // 3), cells=cells, verdict="warning")
    seen, path = [], f"/?verdict=warning&words={words}"
    with served(tmp_path) as server:
        while path:
            found = asked(server, path)
            seen += found.runs
            assert len(found.runs) <= 4
            keep(tmp_path, f"new-{len(seen)}", -timedelta(days=1), verdict="warning", cells=cells)
            path = next_of(found)
    assert len(seen) == 11 and set(seen) == {f"run-{number:02d}" for number in range(11)}


def next_of(found: Reply) -> str:
    """Return where the older runs are; nothing where there are none."""
    links = found.text.partition('aria-label="Pages"')[2]
    return (
        links.split(">Older runs")[0].rpartition('href="')[2].rstrip('"').replace("&amp;", "&")
        if ("Older runs" in links)
        else ""
    )


def test_a_run_tells_what_was_found_what_to_do_and_what_was_given(shown: Server) -> None:
    """And what has changed since it was last well, what people noted, and where the rest is."""
    text = run(shown, ILL).text
    for told in (
        "<strong>Critical</strong>", "klutr-api keeps its sessions", "new connections are refused", "95 %",
        "opslib run pool-saturation --system kulti", "soon none is left", "samples", "Since the last ok",
        "false alarm of the load test", f"/runs/{ILL}/report", f"/runs/{ILL}/notebook",
        f"/diff?before={WELL}&amp;after={ILL}", "/procedure?procedure=site-down",
    ):  # fmt: skip
        assert told in text, told


def test_the_kept_report_and_the_notebook_are_what_the_record_holds(server: Server, archive: Path) -> None:
    """The report can run nothing and load nothing; the notebook is for saving, not for showing."""
    report, notebook = run(server, ILL, "/report"), run(server, ILL, "/notebook")
    assert report.text == "<h1>the kept report</h1>"
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert notebook.text == (folder_of(archive, ILL) / "run.ipynb").read_text(encoding="utf-8")
    assert notebook.headers["content-disposition"] == f'attachment; filename="{ILL}.ipynb"'
    assert run(server, PLAIN, "/files").status == 404


def test_a_procedure_is_told_over_time(shown: Server) -> None:
    """Its strip leads to the runs, its numbers stand with their limits."""
    found = asked(shown, "/procedure?procedure=site-down&system=kulti&environment=production")
    assert found.status == 200
    assert f'href="/runs/{WELL}"' in found.text and f'href="/runs/{ILL}"' in found.text
    assert "40 → 95 % over 2 runs" in found.text and "limit 90" in found.text
    assert "fluttered" not in found.text
    assert asked(shown, "/procedure?procedure=site-down").status == 400
    assert asked(shown, "/procedure?procedure=a&system=b&environment=c").status == 404


def test_a_verdict_that_flutters_leads_to_what_differed(tmp_path: Path) -> None:
    """The mark alone helps nobody."""
    for number, verdict in enumerate(("ok", "critical", "ok")):
        keep(tmp_path, f"{number}-run", timedelta(minutes=30 - 10 * number) - SINCE, verdict=verdict)
    with served(tmp_path) as server:
        found = asked(server, "/procedure?procedure=site-down&system=kulti&environment=production")
    assert "fluttered" in found.text and "/diff?before=0-run&amp;after=1-run" in found.text


def test_two_runs_are_compared(shown: Server) -> None:
    """By their ids, or by words as `opslib diff` takes them."""
    found = asked(shown, f"/diff?before={WELL}&after={ILL}")
    assert found.status == 200 and "connection slots: direct" in found.text and "+55" in found.text
    named = asked(shown, "/diff?before=latest+ok+site-down+kulti&after=latest+critical")
    assert named.text == found.text
    assert asked(shown, f"/diff?before={WELL}").status == 400
    assert asked(shown, f"/diff?before={WELL}&after=x").status == 404


def test_a_run_that_is_not_kept_is_told_with_the_next_step(shown: Server) -> None:
    """The beginning of an id, and `latest`, lead to the run that is meant."""
    unknown = run(shown, "9-nothing")
    assert unknown.status == 404
    assert "no run is kept under &#x27;9-nothing&#x27;" in unknown.text and 'href="/"' in unknown.text
    assert run(shown, "1-i").headers["location"] == f"/runs/{ILL}"
    assert run(shown, "latest critical", "/report").headers["location"] == f"/runs/{ILL}/report"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/?colour=red", "there is no filter &#x27;colour&#x27;"),
        ("/?verdict=red", "there is no verdict &#x27;red&#x27;"),
        ("/?since=never", "&#x27;never&#x27; is no moment"),
        ("/?since=2026-11-21&until=2026-11-01", "since is later than until"),
        ("/?words=%22", "what is to be searched for?"),
        ("/?" + "&".join(f"a{n}=1" for n in range(100)), "the address asks for too much"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(shown: Server, path: str, says: str) -> None:
    """A filter that is left out silently would show runs that were not meant."""
    found = asked(shown, path)
    assert found.status == 400 and says in found.text


ODD = ["%00", "%ff%fe", "%ed%a0%80", "a" * 5000, "%22%27%3E", "NEAR(", "%0a", "%f0%9f%98%80"]
TAKING_WORDS = ["/?words=", "/?actor=", "/?before=", "/runs/", "/?since=", "/procedure?key="]


@pytest.mark.parametrize("word", ODD)
@pytest.mark.parametrize("place", TAKING_WORDS)
def test_odd_words_in_an_address_break_nothing(shown: Server, word: str, place: str) -> None:
    """Whatever is typed is looked for, or refused."""
    assert asked(shown, f"{place}{word}").status in (200, 400, 404)


SPOILED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "notebook": (lambda folder: append(folder / "run.ipynb"), "run.ipynb is not what was sealed"),
    "report": (lambda folder: append(folder / "run.html"), "run.html is not what was sealed"),
    "envelope": (lambda folder: append(folder / "run.dsse.json"), "run.dsse.json is not what was sealed"),
    "verdict": (
        lambda folder: better(folder / "run.json"),
        "run.json is not what was sealed",
    ),
    "proof": (lambda folder: append(folder / "run.tlog-proof", "x"), "proof-edited"),
}


def better(path: Path) -> None:
    """Have a statement tell a better verdict."""
    path.write_text(path.read_text(encoding="utf-8").replace('"verdict": "critical"', '"verdict": "ok"'))


def badge(found: Reply) -> str:
    """Return what a page says of the seal."""
    return found.text.split('aria-label="Verification"')[1].split("</section>")[0]


def test_a_sealed_record_says_so_and_what_that_does_not_prove(shown: Server) -> None:
    """Looked at when the page is asked for."""
    told = badge(run(shown, ILL))
    assert "✔" in told and "<b>sealed</b>" in told and "no witness has cosigned this log" in told
    plain = badge(run(shown, PLAIN))
    assert "?" in plain and "<b>not sealed</b>" in plain and "✔" not in plain


@pytest.mark.parametrize("what", SPOILED)
def test_an_edited_record_is_never_shown_as_sealed(server: Server, archive: Path, what: str) -> None:
    """Also when it was sealed a moment ago."""
    assert "<b>sealed</b>" in badge(run(server, ILL))
    spoil, says = SPOILED[what]
    spoil(folder_of(archive, ILL))
    told = badge(run(server, ILL))
    assert "✖" in told and "<b>edited</b>" in told and says in told


def test_a_proof_that_was_taken_away_leaves_no_sealed_record(server: Server, archive: Path) -> None:
    """Nor does a record of its own words under the proof of others."""
    folder = folder_of(archive, ILL)
    better(folder / "run.json")
    (folder / "run.tlog-proof").unlink()
    assert "<b>not sealed</b>" in badge(run(server, ILL))


def test_the_whole_record_of_another_run_in_its_place_is_not_taken_for_it(
    server: Server, archive: Path
) -> None:
    """That one is sound by itself."""
    folder = folder_of(archive, ILL)
    shutil.rmtree(folder)
    shutil.copytree(folder_of(archive, WELL), folder)
    found = run(server, ILL)
    assert "it is the record of run 0-well" in found.text
    assert "✖" in badge(found) and "<b>sealed</b>" not in found.text


def test_words_that_the_seal_does_not_cover_are_held_against_what_was_signed(
    server: Server, archive: Path, home: Path
) -> None:
    """A leaf may name the signed record alone; what is shown is the plain one beside it."""
    folder = keep(archive, "5-bare", LONG, verdict="critical")
    signed = notary.signed((folder / "run.json").read_bytes())[ENVELOPE]
    (folder / ENVELOPE).write_bytes(signed)
    seal(notary.log_of(archive), folder, finished(signed, now()))
    assert "<b>sealed</b>" in badge(run(server, "5-bare"))
    better(folder / "run.json")
    told = badge(run(server, "5-bare"))
    assert "✖" in told and "run.json does not say what was signed" in told


def test_a_record_that_is_gone_is_told_and_not_made_up(server: Server, archive: Path) -> None:
    """The index remembers it, which is no evidence."""
    shutil.rmtree(folder_of(archive, ILL))
    found = run(server, ILL)
    assert (
        found.status == 200
        and "Its record cannot be read" in found.text
        and "<b>sealed</b>" not in found.text
    )
    assert run(server, ILL, "/report").status == 404


def test_a_page_tells_the_record_and_not_the_index(server: Server, archive: Path) -> None:
    """Whoever may write into the archive may change the index, which nothing signs."""
    with closing(sqlite3.connect(archive / "index.sqlite")) as base, base:
        base.execute("update run set document = replace(document, '\"critical\"', '\"ok\"')")
    found = run(server, ILL)
    assert "<strong>Critical</strong>" in found.text and "<b>sealed</b>" in badge(found)
    assert "<title>✖ site-down" in found.text and "Since the last ok" in found.text


def test_what_could_not_be_verified_is_not_called_sound(server: Server, home: Path) -> None:
    """A key that cannot be read is no reason to trust a record."""
    key = home / "keys" / "runner_ed25519"
    key.chmod(0o644)
    told = badge(run(server, ILL))
    key.chmod(0o600)
    assert "<b>not verified</b>" in told and "✔" not in told


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MKCOL"])
def test_nothing_but_reading_is_answered(server: Server, archive: Path, method: str) -> None:
    """There is nothing here that could be written."""
    before = contents(archive)
    for path in ("/", f"/runs/{ILL}", f"/runs/{ILL}/report"):
        refused = asked(server, path, method)
        assert refused.status == 405 and refused.headers["allow"] == "GET, HEAD"
    assert contents(archive) == before


def test_looking_at_everything_changes_nothing(server: Server, archive: Path) -> None:
    """Not a file of the archive is another afterwards."""
    before = contents(archive)
    for path in every_page():
        asked(server, path)
    assert contents(archive) == before


FOREIGN = ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.1", "[", ""]


@pytest.mark.parametrize("host", FOREIGN)
def test_another_name_for_this_machine_is_refused(shown: Server, host: str) -> None:
    """A page elsewhere could have its own name lead here, and read what its visitor may see."""
    found = asked(shown, "/", Host=host)
    assert found.status == 421 and "/runs/" not in found.text


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_the_names_of_loopback_are_ours(shown: Server, host: str) -> None:
    """A tunnel has another port."""
    assert asked(shown, "/", Host=host).status == 200


def test_a_request_without_a_name_or_with_two_is_refused(shown: Server) -> None:
    """One of them might be the one that counts elsewhere."""
    assert b" 421 " in raw(shown, b"GET / HTTP/1.1\r\n\r\n").split(b"\r\n")[0]
    two = raw(shown, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert b" 421 " in two.split(b"\r\n")[0]


def test_a_request_hidden_in_the_body_of_another_is_not_answered(shown: Server) -> None:
    """What follows a request that has a body is not read."""
    inner = f"GET /runs/{ILL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    head = f"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(inner)}\r\n\r\n".encode()
    assert raw(shown, head + inner).count(b"HTTP/1.1 ") == 1


OUTSIDE = [
    "/runs/../../canary", "/runs/%2e%2e%2f%2e%2e%2fcanary", "/../canary", "//canary", "/canary",
    "/runs/..%2f..%2fcanary/report", "/runs/%2fetc%2fpasswd/report", "/runs/1-ill/../../../canary",
    "/runs/1-ill/report/../../canary", "/runs/1-ill%00/report", "/runs/1-ill/run.dsse.json",
    "/archive/canary", "/runs/..\\..\\canary",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leads_out_of_the_archive(server: Server, archive: Path, path: str) -> None:
    """What is asked for is looked up among the runs; it is never a path."""
    (archive.parent / "canary").write_text(CANARY)
    (archive / "canary").write_text(CANARY)
    found = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert CANARY.encode() not in found and b"root:" not in found
    assert found.split()[1] in (b"404", b"400", b"302")


@pytest.mark.parametrize("part", ["", "/report", "/notebook"])
def test_an_index_or_a_link_that_points_elsewhere_leads_nowhere(
    server: Server, archive: Path, part: str
) -> None:
    """Others may write into the archive; the files of whoever looks at it are not theirs to show."""
    for name in ("run.json", "run.html", "run.ipynb"):
        (archive.parent / name).write_text(CANARY)
        (folder_of(archive, WELL) / name).unlink()
        (folder_of(archive, WELL) / name).symlink_to(archive.parent / name)
    with closing(sqlite3.connect(archive / "index.sqlite")) as base, base:
        base.execute("update run set folder = '..' where run_id = ?", (ILL,))
    (folder_of(archive, PLAIN)).rename(archive.parent / PLAIN)
    (archive.parent / PLAIN / "run.html").write_text(CANARY)
    (folder_of(archive, ILL).parent / PLAIN).symlink_to(archive.parent / PLAIN)
    for run_id in (WELL, ILL, PLAIN):
        assert CANARY not in run(server, run_id, part).text, run_id
    assert "lies outside of the archive" in run(server, ILL).text


def test_every_answer_binds_the_browser(shown: Server) -> None:
    """Nothing loads from elsewhere, nothing is guessed, nobody frames it, no address is passed on."""
    for path in every_page():
        headers = asked(shown, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'unsafe" not in policy, path
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "Python" not in headers["server"]


def test_what_has_not_changed_is_not_sent_again(server: Server, archive: Path) -> None:
    """And what has is; HEAD has no body."""
    for path in ("/", "/style.css", f"/runs/{ILL}/report"):
        first = asked(server, path)
        again = asked(server, path, If_None_Match=first.headers["etag"])
        assert (again.status, again.text) == (304, ""), path
        head = asked(server, path, "HEAD")
        assert head.headers["content-length"] == str(len(first.text.encode()))
        assert raw(server, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).endswith(b"\r\n\r\n")
    tag = asked(server, "/").headers["etag"]
    keep(archive, "5-new")
    assert asked(server, "/", If_None_Match=tag).runs[0] == "5-new"


def test_a_token_lets_in_whoever_has_the_address(archive: Path) -> None:
    """Once; after that the browser remembers, and the address is a plain one."""
    with served(archive, token="t0ken-of-the-test") as server:
        assert asked(server, "/").status == 403 and asked(server, "/?token=t0ken").status == 403
        assert "t0ken-of-the-test" in server.address
        let_in = asked(server, f"/runs/{ILL}?token=t0ken-of-the-test")
        assert (let_in.status, let_in.headers["location"]) == (303, f"/runs/{ILL}")
        cookie = let_in.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        shown = asked(server, "/", Cookie=cookie.split(";")[0])
        assert shown.runs == ALL and "t0ken" not in shown.text
        assert asked(server, "/", Cookie=cookie.split("=")[0] + "=other").status == 403
        assert asked(server, "/style.css").status == 403


def test_an_index_that_is_being_made_is_said_and_then_shown(
    server: Server, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits before an empty page while a million records are read."""
    monkeypatch.setattr(libraries, "PATIENCE", 0.05)
    with FileLock(archive / ".index.lock"):
        (archive / ".index.stale").touch()
        waiting = asked(server, "/")
        assert waiting.status == 503 and "being made anew" in waiting.text
        assert waiting.headers["retry-after"] == "2" and 'http-equiv="refresh"' in waiting.text
        assert asked(server, "/style.css").status == 200
    monkeypatch.setattr(libraries, "PATIENCE", 60)
    assert asked(server, "/").runs == ALL


def test_an_archive_that_cannot_be_read_is_said(server: Server, archive: Path) -> None:
    """And the server goes on: it may be back in a moment."""
    archive.rename(archive.with_name("away"))
    archive.write_text("a file")
    broken = asked(server, "/")
    assert broken.status == 500 and "the archive must be a folder" in broken.text
    archive.unlink()
    archive.with_name("away").rename(archive)
    assert asked(server, "/").runs == ALL


def test_an_index_that_cannot_be_made_is_said(server: Server, archive: Path) -> None:
    """With its path and the next step, on every page."""
    (archive / "index.sqlite").unlink()
    (archive / "index.sqlite" / "x").mkdir(parents=True)
    for path in ("/", f"/runs/{ILL}"):
        broken = asked(server, path)
        assert broken.status == 500 and "index.sqlite" in broken.text and "→" in broken.text


def test_records_that_cannot_be_read_are_named(archive: Path) -> None:
    """A list without them must not look whole."""
    (folder_of(archive, PLAIN) / "run.json").write_text("{")
    (archive / "index.sqlite").unlink()
    with served(archive) as server:
        text = listed(server).text
    assert "1 record of this archive cannot be read" in text and f"{PLAIN}/run.json" in text


def test_an_archive_that_cannot_be_written_shows_new_runs_too(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index is kept in memory, and nobody tells it."""
    monkeypatch.setattr(os, "access", lambda *words: False)
    (archive / "index.sqlite").unlink()
    with served(archive) as server:
        assert listed(server).runs == ALL
        keep(archive, "5-new")
        assert listed(server).runs == ["5-new", *ALL]
        assert not (archive / "index.sqlite").exists()


def test_an_empty_archive_says_how_the_first_run_is_made(tmp_path: Path) -> None:
    """It is the first thing that a new user sees."""
    with served(tmp_path / "none") as server:
        assert "opslib run PROCEDURE --system NAME" in listed(server).text
    assert not (tmp_path / "none").exists()


def test_many_ask_at_once(shown: Server) -> None:
    """Each gets its own page, whole."""
    paths, found = every_page() * 3, {}

    def ask(number: int) -> None:
        found[number] = asked(shown, paths[number]).status

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(paths))] == [asked(shown, path).status for path in paths]


def test_a_secret_is_on_no_page(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what a run has printed, nor what the server's own environment and keys hold."""
    from opslib import masking
    from opslib.runner.execute import run as execute

    monkeypatch.setenv("OPSLIB_CANARY", CANARY)
    masking.register("canary", CANARY)
    code = "import os; print(os.environ['OPSLIB_CANARY']); raise RuntimeError(os.environ['OPSLIB_CANARY'])"
    outcome = execute(small.request(tmp_path, code))
    keys = [path.read_text() for path in (home / "keys").iterdir() if path.name.endswith("_ed25519")]
    with served(tmp_path / "archive") as server:
        for path in [
            *every_page(outcome.run_id, outcome.run_id),
            f"/?words={CANARY[:6]}",
            "/?words=redacted",
        ]:
            text = asked(server, path).text
            assert CANARY not in text, path
            assert not any(line in text for key in keys for line in key.splitlines()[1:-1])
        assert "[redacted:canary]" in run(server, outcome.run_id, "/report").text
    assert json.loads((outcome.record / "run.json").read_text())["predicate"]["verdict"] == "unknown"
