"""The verifier for people without opslib: one file, only Python, the same findings."""

from __future__ import annotations

import ast
import base64
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opslib.evidence import standalone_verifier, verify_archive, verify_record
from opslib.evidence.ed25519 import verified
from opslib.evidence.envelopes import Envelope
from opslib.evidence.notes import Note
from opslib.evidence.plain import NotSound
from opslib.evidence.proofs import Proof
from opslib.evidence.sealing import write_proof
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.verifier import main, verified_folder
from tests.attacks import ATTACKS, RUNS, Attack, flip, scope, slots
from tests.evidencing import Kept, audit, key, later, stamp

# RFC 8032, section 7.1: key, message, signature.
VECTORS = (
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
     "d25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
     "4a7c15e9716ed28dc027beceea1ec40a"),
)  # fmt: skip
ORDER = 2**252 + 27742317777372353535851937790883648493
LATER = stamp(audit().present)


def archive(folder: Path) -> Kept:
    """Return an archive of some runs that a witness has seen, with the keys beside it."""
    kept = Kept(folder / "archive")
    for number in range(3):
        kept.run(number)
    kept.cosign(later(2.5))
    shutil.copytree(kept.archive, folder / "before")
    for number in range(3, RUNS):
        kept.run(number)
    kept.cosign(later(RUNS - 0.5))
    return kept


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, and the same as it was before."""
    folder = tmp_path_factory.mktemp("honest")
    archive(folder)
    return folder


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-alone verifier, as an auditor is handed it."""
    path = tmp_path_factory.mktemp("auditor") / "verify_evidence.py"
    path.write_text(standalone_verifier(), encoding="utf-8")
    return path


def said(script: Path, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and result of the verifier, in a Python that can import nothing else."""
    words = [sys.executable, "-I", "-S", str(script), str(folder), "--now", LATER, *more, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=script.parent)
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_one_file_needs_nothing_but_the_standard_library(script: Path) -> None:
    """No package, no opslib, and no name stands for two things in it."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = [node.names for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported |= {alias.name for names in plain for alias in names}
    assert {str(name).split(".")[0] for name in imported} <= sys.stdlib_module_names
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assigned = [node.targets for node in tree.body if isinstance(node, ast.Assign)]
    names = [*defined, *(name.id for group in assigned for name in group if isinstance(name, ast.Name))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("attack", [None, *ATTACKS.values()], ids=["honest", *ATTACKS])
def test_it_finds_what_the_library_finds(
    attack: Attack | None, honest: Path, script: Path, tmp_path: Path
) -> None:
    """The same findings in the same words, and exit code 2 where something is wrong."""
    shutil.copytree(honest / "archive", tmp_path / "archive")
    kept = Kept(tmp_path / "archive")
    if attack:
        attack.act(kept, honest / "before")
    kept = Kept(tmp_path / "archive")
    kept.write_keys(kept.watched)
    expected = [{"name": one.name, "moment": stamp(one.moment)} for one in slots()]
    (kept.archive / "slots.json").write_text(json.dumps(expected))
    earlier = sorted((honest / "archive" / "log" / "cosigned").iterdir())
    shutil.copytree(earlier[0].parent, kept.archive / "checkpoints")
    checkpoints = tuple(path.read_bytes() for path in earlier)
    report = verify_archive(kept.archive, kept.trusted(kept.watched), scope(checkpoints=checkpoints))
    code, found = said(script, kept.archive)
    assert "keys were taken from the folder" in found["unproven"].pop()
    assert "which runs were due was taken from slots.json" in found["unproven"].pop()
    assert found == report.to_dict()
    assert code == (0 if report.sound else 2) and report.sound == (attack is None)


def with_keys(kept: Kept) -> tuple[str, ...]:
    """Write the keys beside an archive; return the options that name them."""
    kept.write_keys()
    return ("--policy", str(kept.archive / "policy"), "--runner-keys", str(kept.archive / "runner-keys"))


def test_a_record_alone_is_verified_without_the_log(honest: Path, script: Path, tmp_path: Path) -> None:
    """The folder of one record, its blob and the keys are all that is handed over."""
    kept = Kept(honest / "archive")
    folder = shutil.copytree(kept.folder(1), tmp_path / "record")
    shutil.copytree(kept.archive / "blobs", folder / "blobs")
    options = with_keys(kept)
    report = verify_record(folder, kept.trusted(), audit())
    assert said(script, folder, *options) == (0, report.to_dict())
    assert report.sound and "needs the whole log" in report.unproven[0]
    flip(folder / "run.ipynb", 3)
    code, found = said(script, folder, *options)
    assert code == 2 and [one["kind"] for one in found["findings"]] == ["notebook-edited"]


def test_a_person_reads_what_was_found(honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence each, the result first."""
    kept = Kept(honest / "archive")
    assert main([str(kept.folder(2)), *with_keys(kept)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "SOUND: 1 records, 1 leaves" and told[1].startswith("  not proven: ")


@pytest.mark.parametrize(
    "words",
    [(), ("nowhere",), (".", "more"), (".", "--policy"), (".",), (".", "--since", "yesterday"), ("--json",)],
)
def test_what_it_does_not_understand_is_said_with_its_use(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Code 64, never a verdict."""
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 64
    assert "use: FOLDER" in capsys.readouterr().err


def test_slots_that_are_no_slots_are_said(
    honest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schedule that was not understood must not look like one that was kept."""
    kept = Kept(shutil.copytree(honest / "archive", tmp_path / "archive"))
    kept.write_keys()
    (kept.archive / "slots.json").write_text('[{"name": "nightly"}]')
    assert main([str(kept.archive)]) == 64
    assert "slots.json is no list" in capsys.readouterr().err


def test_signatures_of_the_specification_are_good() -> None:
    """And no other message fits them."""
    for public, message, signature in VECTORS:
        parts = (bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))
        assert verified(*parts) and quickly_verified(*parts)
        assert not verified(parts[0], parts[1] + b"\0", parts[2])


def test_a_sound_record_beside_the_log_hides_no_other(honest: Path, tmp_path: Path) -> None:
    """Who copies a record to where the log lies does not have only that one looked at."""
    kept = Kept(shutil.copytree(honest / "archive", tmp_path / "archive"))
    kept.write_keys()
    shutil.copytree(kept.folder(0), kept.archive, dirs_exist_ok=True)
    flip(kept.folder(1) / "run.ipynb")
    assert verified_folder(kept.archive, {"--now": LATER}).named() == {"notebook-edited"}
    shutil.rmtree(kept.archive / "runs")
    assert "deleted" in verified_folder(kept.archive, {"--now": LATER}).named()


@pytest.mark.parametrize("name", ["policy", "runner-keys", "checkpoints/last"])
def test_a_pipe_in_a_folder_of_others_is_not_waited_for(name: str, script: Path, tmp_path: Path) -> None:
    """Whoever may write there could keep a verification from ever ending."""
    kept = Kept(tmp_path / "archive")
    kept.run(0)
    kept.write_keys()
    (kept.archive / name).parent.mkdir(exist_ok=True)
    (kept.archive / name).unlink(missing_ok=True)
    os.mkfifo(kept.archive / name)
    words = [sys.executable, "-I", "-S", str(script), str(kept.archive)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 64 and f"{name}: is not there, or cannot be read" in done.stderr


def test_a_terminal_that_lacks_a_letter_is_told_all_the_same(script: Path, tmp_path: Path) -> None:
    """And by the same exit code."""
    kept = Kept(tmp_path / "archive")
    (kept.run(0) / "caf\u00e9.txt").write_text("put there")
    kept.write_keys()
    words = [sys.executable, str(script), str(kept.archive)]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=ascii_only)
    assert (done.returncode, done.stderr) == (2, "") and "caf\\xe9.txt was not sealed with it" in done.stdout


def test_both_ways_to_check_a_signature_agree() -> None:
    """On good ones, on ones with a bit turned anywhere, and on parts of a wrong length."""
    draw = random.Random(8032)
    for _ in range(12):
        own = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
        message = draw.randbytes(draw.randrange(200))
        parts = [own.public_key().public_bytes_raw(), message, own.sign(message)]
        assert verified(*parts) and quickly_verified(*parts)
        for which in (0, 2):
            turned = list(parts)
            number = int.from_bytes(parts[which], "big") ^ 1 << draw.randrange(8 * len(parts[which]))
            turned[which] = number.to_bytes(len(parts[which]), "big")
            assert not verified(*turned) and not quickly_verified(*turned)
            turned[which] = parts[which][:-1]
            assert not verified(*turned) and not quickly_verified(*turned)


def test_a_signature_has_no_second_form() -> None:
    """Adding the order of the group to its number gives another text that a lax verifier accepts."""
    own = key(3)
    signature = own.sign(b"x")
    number = int.from_bytes(signature[32:], "little") + ORDER
    other = signature[:32] + number.to_bytes(32, "little")
    assert not verified(own.raw, b"x", other) and not quickly_verified(own.raw, b"x", other)
    for unusable in (bytes(32), b"\xff" * 32, b"\x01" + bytes(30) + b"\x80", b"\x02" + bytes(31)):
        assert not verified(unusable, b"x", signature)
        assert not verified(own.raw, b"x", unusable + signature[32:])


def turned(content: bytes, step: int = 1) -> Iterator[bytes]:
    """Yield a text with each of its bits turned, one at a time; or only every so many."""
    for place in range(0, 8 * len(content), step):
        at, bit = divmod(place, 8)
        yield content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.fixture
def small(tmp_path: Path) -> Kept:
    """An archive with one record in a small log; its proof is cosigned, its page is not kept."""
    kept = Kept(tmp_path / "small")
    folder = kept.run(0)
    note = Note.parse(kept.cosign(later(1)))
    write_proof(folder, kept.log.proof(2, note=note))
    return kept


@pytest.mark.parametrize(("name", "step"), [("run.tlog-proof", 1), ("run.dsse.json", 29)])
def test_every_bit_of_a_record_counts(name: str, step: int, small: Kept) -> None:
    """None can be turned without the record being refused; those of an envelope are all tried below."""
    path = small.folder(0) / name
    content = path.read_bytes()
    known = replace(small.trusted(small.watched), check=quickly_verified)
    assert verify_record(path.parent, known, audit()).sound
    accepted = 0
    for other in turned(content, step):
        path.write_bytes(other)
        accepted += verify_record(path.parent, known, audit()).sound
    assert accepted == 0


def test_every_bit_of_an_envelope_counts_by_its_signature_alone(small: Kept) -> None:
    """Also where no log holds its digest."""
    known = small.trusted().runners
    accepted = 0
    for other in turned((small.folder(0) / "run.dsse.json").read_bytes()):
        try:
            accepted += bool(Envelope.parse(other).signers(known, quickly_verified))
        except NotSound:
            continue
    assert accepted == 0


def test_a_proof_has_no_second_form(small: Kept) -> None:
    """Other line ends, spaces, numbers and base64 that mean the same are refused."""
    path = small.folder(0) / "run.tlog-proof"
    content = path.read_bytes()
    assert Proof.parse(content).encode() == content
    others = (
        content.replace(b"\n", b"\r\n"), content.replace(b"index 2", b"index 02"), content + b"\n",
        content.replace(b"index 2", b"index +2"), content.replace(b"index 2", b"index  2"),
        content.replace(b"\nindex", b"\n\x0bindex"), content.replace(b"@v1", b"@v2"),
        content.replace(b"=\n\n", b"=\n \n"), content.replace(b"extra ", b"extra  "), b"", b"\xff\n\n",
    )  # fmt: skip
    for other in others:
        assert other != content
        path.write_bytes(other)
        assert verify_record(path.parent, small.trusted(), audit()).named() == {"proof-edited"}


def test_padding_bits_of_base64_are_not_free(small: Kept) -> None:
    """The last letter of a hash has bits that decoding throws away."""
    proof = Proof.parse((small.folder(0) / "run.tlog-proof").read_bytes())
    text = base64.b64encode(proof.path[0]).decode()
    lax = text[:-2] + chr(ord(text[-2]) + 1) + "="
    assert base64.b64decode(lax) == proof.path[0]
    path = small.folder(0) / "run.tlog-proof"
    path.write_bytes(path.read_bytes().replace(text.encode(), lax.encode()))
    assert verify_record(path.parent, small.trusted(), audit()).named() == {"proof-edited"}


def test_the_script_runs_as_a_command(script: Path) -> None:
    """Without words it says how it is used."""
    words = [sys.executable, "-I", "-S", str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": os.defpath})
    assert done.returncode == 64 and "use: FOLDER" in done.stderr
