"""An authority for time stamps the head: a real one, of `openssl ts`, over HTTP."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from opslib import ids
from opslib.config import Witness, Witnesses
from opslib.errors import ConfigError
from opslib.evidence import Report, verify_archive
from opslib.evidence.witnesses import Asked, read_stamps, standing
from opslib.verdict import Status
from tests import servers
from tests.attacks import rewritten
from tests.evidencing import Kept, audit
from tests.witnessing import asked

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")

# `certs` is left out: with it OpenSSL writes an unordered set, which a strict reader refuses.
CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


@dataclass(frozen=True)
class Authority:
    """An authority for time, on this machine.

    Args:
        folder: has its keys.
    """

    folder: Path

    def made(self) -> Authority:
        """Make its keys and return it."""
        config = self.folder / "openssl.cnf"
        config.write_text(CONFIG.format(folder=self.folder))
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self("req", "-x509", *new, "-subj", "/CN=root", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
             "-config", str(config), "-extensions", "ca")  # fmt: skip
        self("req", *new, "-subj", "/CN=tsa", "-keyout", "tsa.key", "-out", "tsa.csr", "-config", str(config))
        self("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "tsa.pem", "-days", "2", "-extfile", str(config), "-extensions", "leaf")  # fmt: skip
        (self.folder / "serial").write_text("01")
        return self

    def __call__(self, *words: str) -> None:
        """Run openssl."""
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def stamp(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        (self.folder / "query").write_bytes(body)
        self("ts", "-reply", "-queryfile", "query", "-out", "reply", "-config", "openssl.cnf")
        answer = (self.folder / "reply").read_bytes()
        servers.reply(200, answer, Content_Type="application/timestamp-reply")(request)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority for time."""
    return Authority(tmp_path_factory.mktemp("tsa")).made()


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    """Where it listens."""
    with servers.serving(authority.stamp) as address:
        yield address


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An archive with two runs."""
    made = Kept(tmp_path / "archive")
    for number in range(2):
        made.run(number, at=ids.now() - timedelta(hours=3 - number))
    return made


def witness(url: str, authority: Authority) -> Witness:
    """Return what the file says of it."""
    return Witness(name="tsa", kind="rfc3161", url=url, certificate=str(authority.folder / "ca.pem"))


def stamped(kept: Kept, url: str, authority: Authority) -> Asked:
    """Have the head of a log stamped."""
    (said,) = asked(Kept(kept.archive), witness(url, authority))
    return said


def verified(kept: Kept, authority: Authority) -> Report:
    """Return what a verification finds that is given the stamps."""
    found = read_stamps(kept.archive / "log", Witnesses(witnesses=(witness("http://x", authority),)))
    return verify_archive(kept.archive, Kept(kept.archive).trusted(), audit(stamps=found))


def test_a_head_is_stamped_once_and_the_stamp_fits_the_log(
    kept: Kept, url: str, authority: Authority
) -> None:
    """Until the next head."""
    for _ in range(2):
        assert stamped(kept, url, authority) == Asked("tsa", "rfc3161", Status.OK, "has stamped 6 leaves", 6)
    folder = kept.run(2, at=ids.now())
    assert stamped(kept, url, authority).size == 9
    assert len(list((kept.archive / "log" / "stamped").iterdir())) == 2
    assert verified(kept, authority).named() == set()
    now = standing(kept.archive / "log", Witnesses(witnesses=(witness(url, authority),)))
    assert now.told(folder) == "witnessed by 1 of 1"


def test_a_log_that_was_rewritten_or_cut_does_not_fit_its_stamps(
    kept: Kept, url: str, authority: Authority, tmp_path: Path
) -> None:
    """Though whoever did it has the key of the log."""
    kept.run(2)
    stamped(kept, url, authority)
    shutil.copytree(kept.archive / "log" / "stamped", tmp_path / "stamped")
    for runs, name in (((0, 1, 2), "forked"), ((0, 1), "truncated")):
        rewritten(kept, *runs, verdict="warning")
        assert verified(kept, authority).sound
        shutil.copytree(tmp_path / "stamped", kept.archive / "log" / "stamped")
        assert verified(kept, authority).named() == {name}


def test_a_run_that_is_logged_behind_a_stamp_with_an_earlier_time_is_named(
    kept: Kept, url: str, authority: Authority
) -> None:
    """The authority's clock is not ours to set."""
    stamped(kept, url, authority)
    kept.run(9, at=ids.now() - timedelta(hours=1))
    assert verified(kept, authority).named() == {"back-dated"}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x30\x05\x30\x03\x02\x01\x02"])
def test_what_is_no_stamp_is_said_and_not_kept(kept: Kept, authority: Authority, content: bytes) -> None:
    """It is asked for again the next time; beside the log it is a fault."""
    with servers.serving(servers.reply(200, content)) as url:
        said = stamped(kept, url, authority)
    assert said.status is Status.UNKNOWN and "this is no stamp" in said.text
    place = kept.archive / "log" / "stamped"
    assert not place.exists()
    place.mkdir()
    (place / "000000000006-tsa.tsr").write_bytes(content)
    assert verified(kept, authority).named() == {"proof-edited"}


def test_a_stamp_of_somebody_else_does_not_count(
    kept: Kept, url: str, authority: Authority, tmp_path: Path
) -> None:
    """Neither when it comes nor when it lies beside the log."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").made()
    said = stamped(kept, url, other)
    assert said.status is Status.UNKNOWN and "does not count" in said.text
    stamped(kept, url, authority)
    assert verified(kept, other).named() == {"proof-edited"}


def test_an_old_answer_played_again_is_refused(kept: Kept, url: str, authority: Authority) -> None:
    """It is over the same head, and does not have our number in it."""
    stamped(kept, url, authority)
    (path,) = (kept.archive / "log" / "stamped").iterdir()
    content = path.read_bytes()
    path.unlink()
    with servers.serving(servers.reply(200, content)) as again:
        said = stamped(kept, again, authority)
    assert said.status is Status.UNKNOWN and "Nonce" in said.text


def test_a_certificate_that_cannot_be_used_is_named(kept: Kept, url: str, tmp_path: Path) -> None:
    """With its file."""
    for content, says in ((None, "cannot be read: no such file"), (b"x", "is no PEM")):
        if content:
            (tmp_path / "ca.pem").write_bytes(content)
        said = stamped(kept, url, Authority(tmp_path))
        assert said.status is Status.UNKNOWN and says in said.text
        with pytest.raises(ConfigError, match=says):
            verified(kept, Authority(tmp_path))
