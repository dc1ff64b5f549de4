"""Asking witnesses: whoever cannot be asked is asked again, nothing is lost, nothing is believed unseen."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme

from opslib import ids
from opslib.config import Witness, Witnesses
from opslib.errors import ConfigError
from opslib.evidence import Log, LogSigner, Proof, verify_archive
from opslib.evidence.events import RunStarted
from opslib.evidence.notes import Checkpoint, Note, NoteSignature, cosigned
from opslib.evidence.policy import Policy
from opslib.evidence.witnesses import completing, policy_text, read_all, standing, wire, worst
from opslib.evidence.witnesses.service import Service
from opslib.verdict import Status
from tests import servers
from tests.evidencing import BEGAN, ORIGIN, Kept, audit, key, later
from tests.witnessing import asked, cosigner, seen, service, serving, size, told

PROOF = "run.tlog-proof"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """An archive with three runs, a little later."""
    made = Kept(tmp_path / "archive")
    for number in range(3):
        made.run(number)
    monkeypatch.setattr(ids, "now", lambda: later(3))
    return made


@pytest.fixture
def witness(tmp_path: Path, kept: Kept) -> Service:
    """A witness of its log."""
    return service(tmp_path / "witness", kept)


def signers(kept: Kept, number: int, *witnesses: Service) -> set[str]:
    """Return which witnesses have signed the proof of a record."""
    note = Proof.parse((kept.folder(number) / PROOF).read_bytes()).note
    keys = [one.verifier for one in witnesses]
    return {key.name for key in note.signers(keys, lambda *_: True)}


def at(kept: Kept, number: int) -> int:
    """Return in a log of how many leaves the proof of a record shows it."""
    note = Proof.parse((kept.folder(number) / PROOF).read_bytes()).note
    return Checkpoint.parse(note.text).size


def test_proofs_of_records_sealed_before_get_what_is_signed_later(kept: Kept, witness: Service) -> None:
    """And those that have it are left as they are."""
    with serving(witness) as url:
        assert told(kept.archive, kept.log, cosigner(url, witness))[0].status is Status.OK
        assert [signers(kept, number, witness) for number in range(3)] == [{witness.name}] * 3
        kept.run(3)
        assert signers(kept, 3, witness) == set()
        asked(kept, cosigner(url, witness))
    assert signers(kept, 3, witness) == {witness.name}
    assert [at(kept, number) for number in range(4)] == [9, 9, 9, 12]
    assert verify_archive(kept.archive, kept.trusted(kept.watched), audit()).sound


def test_a_proof_waits_for_as_many_witnesses_as_are_demanded(kept: Kept, tmp_path: Path) -> None:
    """One that was away completes it the next time."""
    first = service(tmp_path / "w1", kept)
    second = service(tmp_path / "w2", kept, name="witness.example/w2", seed=10)
    with serving(first) as here:
        away = cosigner(f"http://127.0.0.1:{servers.closed_port()}", second, name="w2")
        statuses = [one.status for one in asked(kept, cosigner(here, first), away)]
        assert statuses == [Status.OK, Status.UNKNOWN]
        assert signers(kept, 0, first, second) == {first.name}
        with serving(second) as there:
            back = cosigner(there, second, name="w2")
            assert {one.status for one in asked(kept, cosigner(here, first), back)} == {Status.OK}
    assert signers(kept, 0, first, second) == {first.name, second.name}


def test_what_a_record_is_witnessed_by_is_said(kept: Kept, tmp_path: Path) -> None:
    """Sealed, witnessed by one, by both; a record without proof is not sealed."""
    first = service(tmp_path / "w1", kept)
    second = service(tmp_path / "w2", kept, name="witness.example/w2", seed=10)
    with serving(first) as here, serving(second) as there:
        both = (cosigner(here, first), cosigner(there, second, name="w2"))
        found = Witnesses(witnesses=both, quorum=1)

        def said() -> list[str]:
            now = standing(kept.archive / "log", found)
            return [now.told(kept.folder(number)) for number in range(4)]

        assert said() == ["sealed, not yet witnessed"] * 3 + ["not sealed"]
        told(kept.archive, kept.log, both[0])
        kept.run(3)
        assert said() == ["witnessed by 1 of 2"] * 3 + ["sealed, not yet witnessed"]
        told(kept.archive, kept.log, *both)
        assert said() == ["witnessed by 2 of 2"] * 4
        assert standing(kept.archive / "log", found).held == {"w1": 12, "w2": 12}


def test_a_log_that_somebody_else_has_asked_for_is_gone_on_with(kept: Kept, witness: Service) -> None:
    """What we knew of the witness is lost: it says what it has seen, and gets the right proof."""
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
        for path in (kept.archive / "log" / "cosigned").iterdir():
            path.unlink()
        kept.run(3)
        assert asked(kept, cosigner(url, witness))[0].status is Status.OK
    assert seen(witness) == {ORIGIN: 12}


def test_a_log_that_nobody_wrote_to_is_not_asked_about(tmp_path: Path, witness: Service) -> None:
    """There is nothing to hold."""
    empty = Log(tmp_path / "none", LogSigner(ORIGIN, key(1)))
    with serving(witness) as url:
        (said,) = told(tmp_path, empty, cosigner(url, witness))
    assert said.status is Status.SKIPPED and worst([said]) is Status.SKIPPED


def slow(request: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, for ever."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


def endless(request: BaseHTTPRequestHandler) -> None:
    """Send as much as is taken."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"x" * 65536)
    except OSError:
        return


def hung_up(request: BaseHTTPRequestHandler) -> None:
    """Say nothing."""
    request.close_connection = True


FAULTS: dict[str, tuple[servers.Handle, str]] = {
    "400": (servers.reply(400), "did not understand"),
    "401": (servers.reply(401), "asks for a token"),
    "403": (servers.reply(403), "knows another key of this log"),
    "404": (servers.reply(404, b"no such log\x1b[2J\n"), r"(404: no such log\x1b[2J)"),
    "409 without a size": (servers.reply(409, b"many"), "its answer cannot be used"),
    "409 with ever the same size": (servers.reply(409, b"4\n"), "says each time"),
    "409 with a size that is not shown": (servers.reply(409, b"99\n"), "its answer cannot be used"),
    "422 and nothing shown": (
        servers.in_turn(servers.reply(422), servers.reply(404)), "shows none that it has seen before",
    ),
    "429": (servers.reply(429), "asks to come back later"),
    "500": (servers.reply(500), "is in trouble (500"),
    "a redirect": (servers.reply(302, Location="http://127.0.0.1:9/"), "is no such witness (302"),
    "nothing in 200": (servers.reply(200, b""), "its answer cannot be used"),
    "garbage": (servers.reply(200, b"\xff\0<html>"), "its answer cannot be used"),
    "a page": (servers.reply(200, b"<html>\n" * 20), "its answer cannot be used"),
    "compressed": (servers.reply(200, b"x" * 50, Content_Encoding="gzip"), "its answer cannot be used"),
    "a huge answer": (endless, "longer than 100 kB"),
    "a slow answer": (slow, "no whole answer came within"),
    "no answer": (hung_up, ""),
}  # fmt: skip


@pytest.mark.parametrize(("handle", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_an_answer_that_cannot_be_used_is_said_and_asked_for_again(
    kept: Kept, witness: Service, handle: servers.Handle, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, never ok; the log, the proofs and what was signed before are as they were."""
    monkeypatch.setattr(wire, "DEADLINE_SECONDS", 0.5)
    before = {path: path.read_bytes() for path in kept.archive.rglob("*") if path.is_file()}
    with servers.serving(handle) as url:
        (said,) = asked(kept, cosigner(url, witness))
    assert said.status is Status.UNKNOWN and says in said.text and said.text.isprintable(), said.text
    after = {path: path.read_bytes() for path in kept.archive.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    monkeypatch.undo()
    monkeypatch.setattr(ids, "now", lambda: later(3))
    with serving(witness) as url:
        assert asked(kept, cosigner(url, witness))[0].status is Status.OK


def signing(witness: Service, change: Callable[[Note, int], tuple[str, int]]) -> servers.Handle:
    """Return a witness that signs something else than it should."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        note = wire.Submission.parse(body).note
        text, seconds = change(note, int(ids.now().timestamp()))
        content = seconds.to_bytes(8, "big") + witness.key.sign(cosigned(text, seconds))
        line = NoteSignature(witness.name, witness.verifier.id, content).line
        servers.reply(200, line.encode())(request)

    return handle


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda note, now: (note.text + "more\n", now), "does not fit"),
        (lambda note, now: (note.text, now + 3600), "its clock says"),
        (lambda note, now: (note.text, now - 3600), "its clock says"),
        (lambda note, now: (note.text, 0), "its clock says"),
        (lambda note, now: (note.text, 2**63), "beyond any calendar"),
    ],
)
def test_a_signature_that_is_not_over_our_head_and_now_is_not_kept(
    kept: Kept, witness: Service, change: Callable[[Note, int], tuple[str, int]], says: str
) -> None:
    """A verifier would refuse the whole archive because of it."""
    with servers.serving(signing(witness, change)) as url:
        (said,) = asked(kept, cosigner(url, witness))
    assert said.status is Status.UNKNOWN and says in said.text
    assert not (kept.archive / "log" / "cosigned").exists()


def test_a_signature_with_another_key_is_none(kept: Kept, witness: Service, tmp_path: Path) -> None:
    """Whoever answers at the address is not who was meant."""
    other = service(tmp_path / "other", kept, seed=77)
    with serving(other) as url:
        (said,) = asked(kept, cosigner(url, witness))
    assert said.status is Status.UNKNOWN and "not signed with the key that we know" in said.text


def test_what_a_witness_only_claims_is_no_alarm(kept: Kept, witness: Service) -> None:
    """Whoever wants to frighten must show a head that our log has signed."""
    with servers.serving(servers.reply(409, b"99\n")) as url:
        assert asked(kept, cosigner(url, witness))[0].status is Status.UNKNOWN
    (read,) = read_all(kept.log, Witnesses(witnesses=(cosigner("http://127.0.0.1:9", witness),)))
    assert read.note is None and read.fault


def test_a_witness_whose_certificate_nobody_vouches_for_is_not_asked(kept: Kept, witness: Service) -> None:
    """Our head is no secret, but whoever stands in between could keep it from the witness."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            inside.recv(1)

    with servers.raw(talk) as url:
        (said,) = asked(kept, cosigner(url.replace("http:", "https:"), witness))
    assert said.status is Status.UNKNOWN and "certificate verify failed" in said.text


def test_one_that_cannot_be_asked_keeps_nobody_from_the_others(kept: Kept, witness: Service) -> None:
    """Each is asked by itself."""
    nobody = cosigner(f"http://127.0.0.1:{servers.closed_port()}", witness, name="gone")
    other = nobody.model_copy(update={"key": service(Path(), kept, name="x", seed=11).verifier.text})
    with serving(witness) as url:
        said = asked(kept, other, cosigner(url, witness), quorum=1)
    assert [one.status for one in said] == [Status.UNKNOWN, Status.OK]
    assert worst(said) is Status.UNKNOWN
    assert signers(kept, 0, witness) == {witness.name}


def test_a_token_is_shown_and_never_told(
    kept: Kept, witness: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read when it is needed; without it the witness is not asked."""
    arrived: list[servers.Arrived] = []
    with servers.serving(servers.noting(arrived, servers.reply(401))) as url:
        one = cosigner(url, witness, token="env:WITNESS_TOKEN")
        (said,) = asked(kept, one)
        assert said.status is Status.UNKNOWN and "WITNESS_TOKEN is not set" in said.text and not arrived
        monkeypatch.setenv("WITNESS_TOKEN", "a-token-of-a-test")
        (said,) = asked(kept, one)
    assert arrived[0].headers["authorization"] == "Bearer a-token-of-a-test"
    assert "a-token-of-a-test" not in said.text


def test_a_head_that_our_log_never_signed_is_no_alarm(kept: Kept, witness: Service) -> None:
    """A witness that lies could otherwise have us accuse ourselves."""
    text = Checkpoint(ORIGIN, 99, bytes(32)).text
    seconds = int(ids.now().timestamp())
    content = seconds.to_bytes(8, "big") + witness.key.sign(cosigned(text, seconds))
    shown = Note(text, (NoteSignature(witness.name, witness.verifier.id, content),)).encode()
    with servers.serving(servers.in_turn(servers.reply(409, b"99\n"), servers.reply(200, shown))) as url:
        (said,) = asked(kept, cosigner(url, witness))
    assert said.status is Status.UNKNOWN and "is not signed by our log" in said.text


def test_a_proof_that_is_complete_is_left_as_it_is(kept: Kept, witness: Service) -> None:
    """Its signature is the earlier one, and proves more; also where nobody remembers what was done."""
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
        (kept.archive / "log" / "cosigned" / "completed").unlink()
        kept.run(3)
        asked(kept, cosigner(url, witness))
    assert [at(kept, number) for number in range(4)] == [9, 9, 9, 12]


def test_heads_of_another_history_do_not_count_as_witnessed(kept: Kept, witness: Service) -> None:
    """Of a log that was cut back, screens must not say that it is held."""
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
        shutil.copytree(kept.archive, kept.archive.parent / "before")
        kept.run(3)
        asked(kept, cosigner(url, witness))
        shutil.rmtree(kept.archive)
        shutil.copytree(kept.archive.parent / "before", kept.archive)
        known = Witnesses(witnesses=(cosigner(url, witness),))
        assert asked(Kept(kept.archive), *known.witnesses)[0].status is Status.CRITICAL
        for _ in range(2):
            assert standing(kept.archive / "log", known).held == {"w1": 9}
            Kept(kept.archive).run(4)


@contextmanager
def growing(kept: Kept, witness: Service) -> Iterator[str]:
    """Serve a witness that somebody else asks with a later head in the middle of our question."""
    done: list[int] = []

    def handle(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if not done:
            done.append(1)
            kept.run(3)
            note = kept.log.head()
            assert note
            assert witness.add_checkpoint(wire.Submission(0, (), note).encode()).status == 200
        said = witness.add_checkpoint(body)
        servers.reply(said.status, said.text.encode())(request)

    with servers.serving(handle) as url:
        yield url


def test_a_log_that_grows_while_it_is_asked_for_is_no_fork(kept: Kept, witness: Service) -> None:
    """Two may ask at once; the later head stands."""
    with growing(kept, witness) as url:
        (said,) = asked(kept, cosigner(url, witness))
    assert (said.status, said.size, size(kept)) == (Status.OK, 12, 12)


def test_an_altered_proof_is_left_for_the_verification_to_name(kept: Kept, witness: Service) -> None:
    """A new one in its place would cover up what somebody did."""
    path = kept.folder(1) / PROOF
    path.write_bytes(path.read_bytes().replace(b"index 5", b"index 4"))
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
    assert verify_archive(kept.archive, kept.trusted(kept.watched), audit()).named() == {"proof-edited"}


def test_a_record_whose_proof_is_not_there_yet_is_looked_at_again(kept: Kept, witness: Service) -> None:
    """It may be sealed at this very moment."""
    path = kept.folder(2) / PROOF
    content = path.read_bytes()
    path.unlink()
    with serving(witness) as url:
        asked(kept, cosigner(url, witness))
        assert not path.exists() and signers(kept, 1, witness)
        path.write_bytes(content)
        asked(kept, cosigner(url, witness))
    assert signers(kept, 2, witness) == {witness.name}


def test_cosignatures_of_one_head_come_together_and_the_first_stays(kept: Kept, tmp_path: Path) -> None:
    """An earlier time proves more than a later one."""
    first = Note.parse(kept.cosign(later(3)))
    kept.cosign(later(4))
    other = NoteSignature("other", b"1234", bytes(72))
    path = kept.log.keep_cosigned(Note(first.text, (first.signatures[0], other)))
    assert Note.parse(path.read_bytes()).signatures == (*first.signatures, other)


def test_an_earlier_head_is_told_from_one_of_another_history(kept: Kept) -> None:
    """By the tiles, without hashing the whole log again."""
    log = kept.log
    note = log.head()
    assert note
    head = Checkpoint.parse(note.text)
    kept.run(3)
    assert log.continues(head)
    assert not log.continues(Checkpoint(ORIGIN, 9, bytes(32)))
    assert not log.continues(Checkpoint(ORIGIN, 99, head.root))


def test_the_policy_of_our_file_is_one_that_a_verifier_reads(kept: Kept, tmp_path: Path) -> None:
    """With none, one and several witnesses."""
    one = service(tmp_path, kept)
    two = service(tmp_path, kept, name="w2.example", seed=10)
    both = (cosigner("https://w1.example", one), cosigner("https://w2.example/x", two, name="w2"))
    git = Witness(name="g", kind="git", remote="/srv/heads.git")

    def policy(quorum: int | None, *witnesses: Witness) -> Policy:
        return Policy.parse(
            policy_text([kept.signer.verifier], Witnesses(witnesses=witnesses, quorum=quorum))
        )

    assert not policy(None, git).wants_witnesses and not policy(0, *both).wants_witnesses
    assert policy(None, both[0], git).met([one.verifier])
    assert not policy(None, *both).met([one.verifier])
    assert policy(None, *both).met([one.verifier, two.verifier])
    assert policy(1, *both).met([two.verifier]) and not policy(1, *both).met([])


def test_a_key_that_fits_its_form_and_not_its_text_is_named(kept: Kept, witness: Service) -> None:
    """Where it stands, and what to do."""
    for text, says in (
        (
            witness.verifier.text.replace("w1+", "w2+"),
            "the key of witness.example/w2 does not fit",
        ),
        (kept.signer.verifier.text, "is not a witness's"),
    ):
        wrong = Witness.model_construct(name="w1", kind="c2sp", url="http://x", key=text, token=None)
        with pytest.raises(ConfigError, match=says):
            policy_text([kept.signer.verifier], Witnesses.model_construct(witnesses=(wrong,)))


def test_a_long_log_is_completed_in_parts(
    kept: Kept, witness: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking stays short, however long nobody has asked."""
    monkeypatch.setattr(completing, "MOST_PROOFS", 2)
    kept.log.append(*(RunStarted(time=BEGAN, run=f"x{number}") for number in range(300)))
    kept.run(3)
    with serving(witness) as url:
        counts = []
        for _ in range(3):
            asked(kept, cosigner(url, witness))
            counts.append(sum(bool(signers(kept, number, witness)) for number in range(4)))
    assert counts == [2, 4, 4]
