"""A witness signs what only grows, remembers it whatever happens, and says why it refuses the rest."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from opslib.archive import shared
from opslib.errors import OpsError
from opslib.evidence.merkle import EMPTY_ROOT
from opslib.evidence.notes import Checkpoint, Note
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses.service import Service
from opslib.evidence.witnesses.wire import ADD, LARGEST_REQUEST, Submission, exchanged, held_path
from tests.conftest import ROOT
from tests.evidencing import ORIGIN, Kept, key
from tests.waiting import wait
from tests.witnessing import seen, service, serving, size, written


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with three runs."""
    made = Kept(tmp_path / "archive")
    for number in range(3):
        made.run(number)
    return made


@pytest.fixture
def witness(tmp_path: Path, kept: Kept) -> Service:
    """A witness of its log."""
    return service(tmp_path / "witness", kept)


@pytest.fixture
def url(witness: Service) -> Iterator[str]:
    """Where it listens."""
    with serving(witness) as address:
        yield address


def head(kept: Kept) -> Note:
    """Return the head of a log."""
    note = kept.log.head()
    assert note
    return note


def posted(url: str, note: Note, old: int = 0, proof: tuple[bytes, ...] = ()) -> tuple[int, str]:
    """Ask a witness for its signature."""
    answer = exchanged("POST", url, ADD, body=Submission(old, proof, note).encode())
    return answer.status, answer.body.decode()


def test_a_head_that_continues_what_was_seen_is_cosigned_with_the_time(
    kept: Kept, witness: Service, url: str
) -> None:
    """The first one, a later one, and the same one again."""
    assert posted(url, head(kept))[0] == 200
    kept.run(3)
    status, line = posted(url, head(kept), 9, kept.log.consistency(9))
    assert status == 200 and line.startswith("— witness.example/w1 ")
    note = Note.parse(head(kept).text.encode() + b"\n" + line.encode())
    assert list(note.signers([witness.verifier], quickly_verified)) == [witness.verifier]
    assert posted(url, head(kept), 12)[0] == 200
    assert seen(witness) == {ORIGIN: 12}


def test_whoever_does_not_know_what_was_seen_is_told(kept: Kept, url: str) -> None:
    """With the size alone, in the type that the specification has for it."""
    posted(url, head(kept))
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("POST", ADD, Submission(0, (), head(kept)).encode())
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.getheader("Content-Type")) == (
        409,
        b"9\n",
        "text/x.tlog.size",
    )
    # The connection is kept for the next request.
    connection.request("POST", ADD, Submission(9, (), head(kept)).encode())
    assert connection.getresponse().status == 200
    connection.close()


def test_neither_a_smaller_nor_another_tree_is_ever_signed(kept: Kept, witness: Service, url: str) -> None:
    """That is all that a witness is for."""
    earlier = head(kept)
    kept.run(3)
    posted(url, head(kept))
    other = Kept(kept.archive.parent / "other")
    for number in range(5):
        other.run(number, verdict="warning")
    assert posted(url, earlier) == (409, "12\n")
    assert posted(url, earlier, 12)[0] == 400
    assert posted(url, head(other), 12, other.log.consistency(12))[0] == 422
    assert posted(url, head(other), 12)[0] == 422
    assert posted(url, other.signer.sign(Checkpoint(ORIGIN, 12, bytes(32))), 12)[0] == 422
    assert seen(witness) == {ORIGIN: 12}


def test_only_heads_of_logs_that_it_knows_are_looked_at(kept: Kept, witness: Service, url: str) -> None:
    """A strange log is not found, a strange signature is forbidden, a damaged one too."""
    strange = Kept(kept.archive.parent / "strange", seed=40)
    strange.run(0)
    assert posted(url, head(strange))[0] == 403
    text = Checkpoint("elsewhere.example/log", 0, EMPTY_ROOT).text
    assert posted(url, Note(text, head(kept).signatures))[0] == 404
    assert posted(url, Note(text.replace("elsewhere.example/log", ORIGIN), head(kept).signatures))[0] == 403
    assert seen(witness) == {ORIGIN: 0}


def test_a_log_without_leaves_has_one_root(kept: Kept, url: str) -> None:
    """Before its first leaf a log may be introduced, and with nothing else."""
    assert posted(url, kept.signer.sign(Checkpoint(ORIGIN, 0, bytes(32))))[0] == 422
    assert posted(url, kept.signer.sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT)))[0] == 200
    assert posted(url, head(kept), 0, (bytes(32),))[0] == 422
    assert posted(url, head(kept))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 0\n", b"\xff\n\n", b"old x\n\n", b"old 00\n\n", b"old -1\n\n", b"new 0\n\n", b"old 0\n\nx",
        b"old 0\nAAAA\n\n", b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\n",
    ],
)  # fmt: skip
def test_a_request_has_one_form(url: str, kept: Kept, body: bytes) -> None:
    """Anything else is said to be none."""
    whole = body + head(kept).encode() if body.endswith(b"\n\n") else body
    assert exchanged("POST", url, ADD, body=whole).status == 400


def test_the_last_head_is_shown_to_whoever_monitors(kept: Kept, witness: Service, url: str) -> None:
    """With both signatures, under the hash of its origin; nothing else is served."""
    assert exchanged("GET", url, held_path(ORIGIN)).status == 404
    posted(url, head(kept))
    note = Note.parse(exchanged("GET", url, held_path(ORIGIN)).body)
    assert set(note.signers([kept.signer.verifier, witness.verifier], quickly_verified)) == {
        kept.signer.verifier, witness.verifier,
    }  # fmt: skip
    for path in ("/", "/../../keys/witness_ed25519", held_path("other"), held_path(ORIGIN) + "/x", "/head"):
        assert exchanged("GET", url, path).status == 404
    assert exchanged("POST", url, "/sign-subtree", body=b"x").status == 404


def test_signatures_of_strangers_are_not_kept(kept: Kept, url: str) -> None:
    """Else anybody could have a witness publish what they like."""
    note = head(kept)
    other = Kept(kept.archive.parent / "other", seed=50)
    more = other.signer.sign(Checkpoint.parse(note.text)).signatures
    assert posted(url, Note(note.text, (*more, *note.signatures)))[0] == 200
    shown = Note.parse(exchanged("GET", url, held_path(ORIGIN)).body)
    assert len(shown.signatures) == 2 and more[0] not in shown.signatures


@pytest.mark.parametrize("spoilt", [b"", b"nonsense", b"a\n99\nAAAA\n\n"])
def test_what_was_seen_and_cannot_be_read_is_never_taken_for_nothing(
    kept: Kept, witness: Service, url: str, spoilt: bytes
) -> None:
    """It signs nothing until somebody has put it right."""
    posted(url, head(kept))
    (remembered,) = witness.folder.glob("*/head")
    remembered.write_bytes(spoilt)
    assert posted(url, head(kept))[0] == 500
    remembered.unlink()
    assert posted(url, head(kept))[0] == 500


def test_a_witness_that_cannot_write_signs_nothing(kept: Kept, witness: Service, url: str) -> None:
    """What it did not keep, it has not seen."""
    posted(url, head(kept))
    (place,) = (path.parent for path in witness.folder.glob("*/head"))
    before = (place / "head").read_bytes()
    (place / "head").unlink()
    (place / "head").mkdir()
    kept.run(3)
    assert posted(url, head(kept), 9, kept.log.consistency(9)) == (
        500, "this witness cannot keep what it sees: nothing was signed\n",
    )  # fmt: skip
    (place / "head").rmdir()
    (place / "head").write_bytes(before)
    assert posted(url, head(kept), 9, kept.log.consistency(9))[0] == 200


def test_it_is_on_the_disk_before_it_is_signed(
    kept: Kept, witness: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A witness that dies while it signs has remembered; the other way round it could sign twice."""

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Service, "_signature", dying)
    with pytest.raises(KeyboardInterrupt):
        witness.add_checkpoint(Submission(0, (), head(kept)).encode())
    assert seen(witness) == {ORIGIN: 9}
    monkeypatch.undo()
    assert witness.add_checkpoint(Submission(9, (), head(kept)).encode()).status == 200


def test_of_two_histories_asked_for_at_once_one_is_signed(tmp_path: Path) -> None:
    """Two servers share the memory, many requests come together; the lock decides."""
    logs = [Kept(tmp_path / name) for name in "ab"]
    for number, log in enumerate(logs):
        log.run(0, verdict=("ok", "warning")[number])
    bodies = [Submission(0, (), head(log)).encode() for log in logs] * 8
    answers: list[tuple[int, int]] = []
    gate = threading.Barrier(len(bodies))

    def post(number: int, url: str) -> None:
        gate.wait()
        answers.append((number % 2, exchanged("POST", url, ADD, body=bodies[number]).status))

    one = service(tmp_path / "witness", logs[0])
    with serving(one) as first, serving(service(tmp_path / "witness", logs[0])) as second:
        threads = [
            threading.Thread(target=post, args=(number, (first, second)[number // 2 % 2]))
            for number in range(len(bodies))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == len(bodies) and {status for _, status in answers} == {200, 409}
    assert len({which for which, status in answers if status == 200}) == 1


def test_nobody_looks_at_what_was_seen_while_another_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other to look as well; only without a lock would both find that nothing was seen."""
    logs = [Kept(tmp_path / name) for name in "ab"]
    for log, verdict in zip(logs, ("ok", "warning"), strict=True):
        log.run(0, verdict=verdict)
    both, look = threading.Barrier(2), Service._seen

    def together(self: Service, place: Path) -> Checkpoint:
        found = look(self, place)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        return found

    monkeypatch.setattr(Service, "_seen", together)
    witness, answers = service(tmp_path / "witness", logs[0]), []
    bodies = [Submission(0, (), head(log)).encode() for log in logs]
    threads = [
        threading.Thread(target=lambda body=body: answers.append(witness.add_checkpoint(body).status))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409]


def test_two_logs_do_not_stand_in_each_others_way(tmp_path: Path, kept: Kept) -> None:
    """One that cannot be read keeps nobody from the other."""
    from opslib.evidence import Log, LogSigner
    from opslib.evidence.events import RunStarted
    from tests.evidencing import BEGAN

    other = Log(tmp_path / "other", LogSigner("other.example/log", key(20)))
    other.append(RunStarted(time=BEGAN, run="x"))
    note = other.head()
    assert note
    both = Service("w", key(9), (kept.signer.verifier, other.signer.verifier), tmp_path / "witness")
    with serving(both) as url:
        assert posted(url, head(kept))[0] == posted(url, note)[0] == 200
        assert seen(both) == {ORIGIN: 9, "other.example/log": 1}
        for path in both.folder.glob("*/head"):
            if ORIGIN.encode() in path.read_bytes():
                path.write_bytes(b"spoilt")
        assert posted(url, head(kept), 9)[0] == 500
        assert posted(url, note, 1)[0] == 200


def raw(url: str, content: bytes) -> bytes:
    """Send bytes, and return the first line of the answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(10)
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline().strip()


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (f"POST {ADD} HTTP/1.1\r\nContent-Length: {LARGEST_REQUEST + 1}\r\n\r\n".encode(), b" 413 "),
        (f"POST {ADD} HTTP/1.1\r\nContent-Length: {'9' * 4000}\r\n\r\n".encode(), b" 413 "),
        (f"POST {ADD} HTTP/1.1\r\nContent-Length: {'0' * 9}{LARGEST_REQUEST + 1}\r\n\r\n".encode(), b" 413 "),
        (f"POST {ADD} HTTP/1.1\r\nContent-Length: -1\r\n\r\n".encode(), b" 411 "),
        (f"POST {ADD} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".encode(), b" 411 "),
        (f"POST {ADD} HTTP/1.1\r\nContent-Length: 5\r\n\r\nold".encode(), b""),
        (b"\0" * 200 + b"\r\n\r\n", b""),
        (b"DELETE / HTTP/1.1\r\n\r\n", b" 501 "),
        (b"", b""),
    ],
)
def test_what_is_no_request_does_no_harm(kept: Kept, url: str, content: bytes, answer: bytes) -> None:
    """Nothing unbounded is read, and the next one is served."""
    assert answer in raw(url, content)
    assert posted(url, head(kept))[0] == 200


def test_more_connections_than_are_served_are_turned_away(kept: Kept, url: str) -> None:
    """Whoever opens hundreds and says nothing takes no thread each."""
    host, port = url.removeprefix("http://").split(":")
    before = threading.active_count()
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(100)]
    turned = [one for one in idle[64:] if one.recv(1) == b""]
    assert len(turned) == 36 and threading.active_count() - before <= 65
    for one in idle:
        one.close()
    wait(lambda: threading.active_count() <= before + 1)
    assert posted(url, head(kept))[0] == 200


class Process:
    """`opslib witness serve` in a process of its own, which can be killed and started again."""

    def __init__(self, home: Path, file: Path) -> None:
        words = [sys.executable, "-m", "opslib", "witness", "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [*words, "--file", str(file)],
            cwd=ROOT, env={**os.environ, "OPSLIB_HOME": str(home)}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr
        self.key = self.process.stderr.readline().strip()
        self.url = self.process.stderr.readline().strip().removeprefix("listens on ")

    def kill(self) -> None:
        """End it without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()


def test_a_witness_that_is_killed_again_and_again_never_signs_a_fork(tmp_path: Path, kept: Kept) -> None:
    """It is killed while requests of two histories are under way, and asked anew after each start."""
    fork = Kept(tmp_path / "fork")
    for number in range(3):
        fork.run(number, verdict="warning")
    file = written(tmp_path / "w.yml", serves={"name": "w.example/1", "logs": [kept.signer.verifier.text]})
    signed: list[tuple[bool, int]] = []

    def storm(url: str) -> None:
        try:
            while True:
                for honest, log in ((True, kept), (False, fork)):
                    note = head(log)
                    for old in {0, size(log) - 3, size(log)}:
                        proof = log.log.consistency(old)
                        if posted(url, note, old, proof if old else ())[0] == 200:
                            signed.append((honest, size(log)))
        except OpsError:
            return  # it was killed

    keys = set()
    for number in range(3):
        process = Process(tmp_path / "home", file)
        keys.add(process.key)
        threads = [threading.Thread(target=storm, args=(process.url,), daemon=True) for _ in range(3)]
        enough = len(signed) + 5
        for thread in threads:
            thread.start()
        wait(lambda enough=enough: len(signed) >= enough)  # type: ignore[misc]
        process.kill()
        for thread in threads:
            thread.join()
        for log in (kept, fork):
            log.run(3 + number)
    assert len({honest for honest, _ in signed}) == 1 and len(keys) == 1
    sizes = [count for _, count in signed]
    assert max(sizes) >= 15
    (remembered,) = (tmp_path / "home" / "witness").glob("*/head")
    assert Checkpoint.parse(Note.parse(shared.read(remembered)).text).size >= max(sizes)
