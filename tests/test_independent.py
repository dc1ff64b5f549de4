"""A reader that others wrote, Go's own, takes our log, heads and proofs for what we say they are."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from opslib.evidence.events import RunRequested
from opslib.evidence.notes import Checkpoint
from opslib.evidence.tiles import rehash, tile_path
from tests.evidencing import Kept, later

SOURCE = Path(__file__).parent / "independent" / "reader.go"
RUNS, FILLING = 3, 520  # more than two full tiles


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built from Go's own sources without a network."""
    if not (go := shutil.which("go")):
        pytest.skip("no Go on this machine")
    root = subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    theirs = Path(root) / "src/cmd/vendor/golang.org/x/mod/sumdb"
    if not theirs.exists():
        pytest.skip("Go's own sources are not on this machine")
    folder = tmp_path_factory.mktemp("reader")
    for name in ("note", "tlog"):
        shutil.copytree(theirs / name, folder / "mod" / "sumdb" / name)
    # Older ones take the standard library's Ed25519 by its former name, which is not beside them.
    signed = folder / "mod" / "sumdb" / "note" / "note.go"
    signed.write_text(signed.read_text().replace("golang.org/x/crypto/ed25519", "crypto/ed25519"))
    (folder / "mod" / "go.mod").write_text("module golang.org/x/mod\n")
    (folder / "go.mod").write_text(
        "module reader\nrequire golang.org/x/mod v0.0.0\nreplace golang.org/x/mod => ./mod\n"
    )
    shutil.copy(SOURCE, folder)
    places = {"GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path"), "GOTOOLCHAIN": "local"}
    offline = {**os.environ, **places, "GOPROXY": "off", "GOFLAGS": "-mod=mod"}
    subprocess.run([go, "build", "-o", "reader", "."], cwd=folder, env=offline, check=True)
    return folder / "reader"


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive of some runs, with a log that fills tiles."""
    made = Kept(tmp_path / "archive")
    for number in range(RUNS):
        made.run(number)
    made.log.append(*(RunRequested(time=later(4), run=f"more-{number}") for number in range(FILLING)))
    made.run(RUNS + 4)
    return made


def head(kept: Kept) -> Checkpoint:
    """Return the present head."""
    note = kept.log.head()
    assert note is not None
    return Checkpoint.parse(note.text)


def said(reader: Path, kept: Kept, proof: Path, old: Checkpoint) -> tuple[int, str]:
    """Return exit code and words of the foreign reader."""
    root = base64.b64encode(old.root).decode()
    words = [kept.archive / "log", kept.signer.verifier.text, proof, str(old.size), root]
    done = subprocess.run([reader, *map(str, words)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_heads_tiles_and_proofs_are_those_that_others_read(reader: Path, kept: Kept) -> None:
    """Every leaf of the log, a record's proof, and that the log continues as it was."""
    old = Checkpoint(kept.signer.origin, 300, rehash(kept.archive / "log", head(kept).size).root(300))
    code, words = said(reader, kept, kept.folder(1) / "run.tlog-proof", old)
    assert code == 0, words
    assert words.splitlines() == [f"leaves {head(kept).size}", "proof of leaf 5 in 6", "continues 300"]


@pytest.mark.parametrize("spoilt", ["tile", "bundle", "head", "proof", "earlier"])
def test_others_refuse_what_was_altered(reader: Path, kept: Kept, spoilt: str) -> None:
    """Else their yes would say nothing."""
    log, proof = kept.archive / "log", kept.folder(1) / "run.tlog-proof"
    old = Checkpoint(kept.signer.origin, 300, rehash(log, head(kept).size).root(300))
    path = {
        "tile": log / tile_path("0", 1, 256), "bundle": log / tile_path("entries", 1, 256),
        "head": log / "checkpoint", "proof": proof,
    }.get(spoilt)  # fmt: skip
    if path:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        old = Checkpoint(old.origin, old.size, bytes(32))
    code, words = said(reader, kept, proof, old)
    assert code == 1 and "refused" in words, words
