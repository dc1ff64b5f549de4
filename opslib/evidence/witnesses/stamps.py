"""An authority for time (RFC 3161) stamps the head of our log.

It does not look at the log, so it sees no fork; but what it stamped was there at that moment, and a log that
was rewritten later does not fit its stamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.archive import shared, store
from opslib.config import Secret, Witness, Witnesses
from opslib.errors import ConfigError, OpsError, SourceError
from opslib.evidence.findings import Stamp
from opslib.evidence.log import Log
from opslib.evidence.notes import Checkpoint
from opslib.evidence.plain import NotSound, content_of, shown
from opslib.evidence.witnesses.known import Asked
from opslib.evidence.witnesses.wire import exchanged
from opslib.verdict import Status

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

KIND = "rfc3161"
FOLDER = "stamped"
_QUERY = "application/timestamp-query"
_CLOCKS = timedelta(minutes=5)
_NAME = re.compile(r"(\d{12})-([a-z0-9][a-z0-9._-]*)\.tsr")
_ALGORITHMS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_HINT = "pip install 'opslib[stamps]'"


def ask(witness: Witness, log: Log) -> Asked:
    """Have an authority stamp the present head of our log, unless it has.

    Args:
        witness: of kind rfc3161.
        log: ours.
    """
    try:
        note = log.head()
        if note is None:
            return Asked(witness.name, KIND, Status.SKIPPED, "nothing was ever logged")
        head = Checkpoint.parse(note.text)
        path = log.folder / FOLDER / f"{head.size:012d}-{witness.name}.tsr"
        if not path.exists():
            content = _stamped(witness, head.text.encode())
            with store.plainly(log.folder):
                path.parent.mkdir(exist_ok=True)
                shared.replace(path, content)
        return Asked(witness.name, KIND, Status.OK, f"has stamped {head.size} leaves", head.size)
    except (SourceError, NotSound, ConfigError) as error:
        return Asked(witness.name, KIND, Status.UNKNOWN, getattr(error, "message", str(error)))


def largest(log: Path, name: str) -> int:
    """Return how many leaves the largest head had that an authority has stamped; 0 where it has none."""
    return max((size for size, whose, _ in _kept(log) if whose == name), default=0)


def read_stamps(log: Path, found: Witnesses) -> tuple[Stamp, ...]:
    """Return the stamps beside a log, each with its signature checked.

    Args:
        log: its folder.
        found: has the authorities and their certificates.

    Raises:
        ConfigError: a certificate cannot be read, or the library for it is not installed.
    """
    known = {one.name: _roots(one) for one in found.witnesses if one.kind == KIND}
    return tuple(_checked(size, path, known[name]) for size, name, path in _kept(log) if name in known)


def _kept(log: Path) -> Iterator[tuple[int, str, Path]]:
    for path in sorted((log / FOLDER).glob("*.tsr")):
        if named := _NAME.fullmatch(path.name):
            yield int(named[1]), named[2], path


def _stamped(witness: Witness, text: bytes) -> bytes:
    library, roots = _library(), _roots(witness)
    request = library.TimestampRequestBuilder().data(text).build()
    try:
        token = Secret.parse(witness.token).reveal() if witness.token else ""
    except OpsError as error:
        raise SourceError(error.message) from None
    answer = exchanged("POST", str(witness.url), "", body=request.as_bytes(), token=token, kind=_QUERY)
    if answer.status != 200:
        raise NotSound(f"it stamps nothing ({answer.status})")
    response = _response(answer.body)
    try:
        library.VerifierBuilder(roots=list(roots), nonce=request.nonce).build().verify_message(response, text)
    except library.VerificationError as error:
        raise NotSound(f"its stamp does not count: {error}") from None
    if abs(response.tst_info.gen_time - ids.now()) > _CLOCKS:
        raise NotSound(f"its clock says {shown(response.tst_info.gen_time)}: such a stamp cannot be used")
    return answer.body


def _checked(size: int, path: Path, roots: Sequence[Certificate]) -> Stamp:
    name, library = f"{FOLDER}/{path.name}", _library()
    try:
        response = _response(content_of(path) or b"")
        told = response.tst_info
        digest, oid = told.message_imprint.message, told.message_imprint.hash_algorithm.dotted_string
        library.VerifierBuilder(roots=list(roots)).build().verify(response, digest)
    except (NotSound, library.VerificationError) as error:
        return Stamp(name, fault=f"this stamp does not count: {error}")
    if oid not in _ALGORITHMS:
        return Stamp(name, fault=f"this stamp is over a digest of an unknown kind, {oid}")
    return Stamp(name, size, _ALGORITHMS[oid], digest, told.gen_time)


def _response(content: bytes) -> Any:
    """Return an answer of an authority that holds a stamp.

    Raises:
        NotSound: it holds none.
    """
    try:
        response = _library().decode_timestamp_response(content)
        refused = f"it grants no stamp: status {response.status}"
        response.tst_info.gen_time  # noqa: B018 - read here, as it fails where there is no stamp
    except ValueError as error:
        raise NotSound(f"this is no stamp: {str(error)[:100]}") from None
    if response.status:
        raise NotSound(refused)
    return response


def _roots(witness: Witness) -> Sequence[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    path = Path(str(witness.certificate))
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise ConfigError(f"{path}: the certificate of {witness.name} cannot be read: {why}") from None
    except ValueError:
        raise ConfigError(f"{path}: the certificate of {witness.name} is no PEM") from None


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise ConfigError("stamps need the Python package rfc3161-client", hint=_HINT) from None
    return rfc3161_client
