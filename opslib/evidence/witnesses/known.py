"""Who witnesses a log, as its file says, with keys that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opslib.archive import shared, store
from opslib.config import Secret, Witness, Witnesses
from opslib.config.witnesses import RESERVED
from opslib.errors import ConfigError
from opslib.evidence.notes import LOG_KEY, WITNESS_KEY, Note, VerifierKey
from opslib.evidence.plain import NotSound
from opslib.verdict import Status

_GROUP = RESERVED[1]
_HINT = "ask whoever holds the key for it once more: it is one line, name+id+base64"


@dataclass(frozen=True)
class Cosigner:
    """A witness that cosigns.

    Args:
        name: what we call it.
        url: where it is asked.
        key: its key.
        token: what it is to be shown, if anything.
    """

    name: str
    url: str
    key: VerifierKey
    token: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Asked:
    """What became of asking one witness to hold our head.

    Args:
        witness: its name.
        kind: of the witness.
        status: ok, it holds the head; unknown, it could not be had to; critical, it holds what our log
            does not continue.
        text: in a sentence.
        size: leaves of the head that it holds now, as far as that is known.
    """

    witness: str
    kind: str
    status: Status
    text: str
    size: int = 0


def cosigners(found: Witnesses) -> tuple[Cosigner, ...]:
    """Return those who cosign.

    Raises:
        ConfigError: a key does not fit its own text, or is no witness's.
    """
    return tuple(_cosigner(one) for one in found.cosigning)


def log_keys(found: Witnesses) -> tuple[VerifierKey, ...]:
    """Return the keys of the logs that we witness.

    Raises:
        ConfigError: a key does not fit its own text, or is no log's.
    """
    texts: Sequence[str] = found.serves.logs if found.serves else ()
    return tuple(_key(text, LOG_KEY, "serves.logs") for text in texts)


def policy_text(logs: Sequence[VerifierKey], found: Witnesses) -> str:
    """Return the trust policy (C2SP tlog-policy) of a log and those who cosign it.

    Args:
        logs: keys of the log, the present one and those whose place it took.
        found: who witnesses it.

    Raises:
        ConfigError: a key cannot be used.
    """
    known = cosigners(found)
    names = [one.name for one in known]
    lines = [f"log {log.text}" for log in logs]
    lines += [*(f"witness {one.name} {one.key.text} {one.url}" for one in known)]
    if not found.needed:
        quorum = "none"
    elif len(names) == 1:
        quorum = names[0]
    else:
        quorum = _GROUP
        lines.append(f"group {_GROUP} {found.needed} {' '.join(names)}")
    return "".join(f"{line}\n" for line in [*lines, f"quorum {quorum}"])


def state_folder(log: Path) -> Path:
    """Return where a log keeps what remotes hold of it."""
    return log / "held"


def remember(name: str, log: Path, note: Note) -> None:
    """Keep which head a witness holds that signs nothing.

    Args:
        name: of the witness.
        log: folder of the log.
        note: the head.

    Raises:
        ArchiveError: it cannot be written.
    """
    place = state_folder(log)
    with store.plainly(place):
        place.mkdir(exist_ok=True)
        shared.replace(place / name, note.encode())


def _cosigner(one: Witness) -> Cosigner:
    key = _key(str(one.key), WITNESS_KEY, f"witnesses: {one.name}")
    return Cosigner(one.name, str(one.url), key, Secret.parse(one.token) if one.token else None)


def _key(text: str, kind: int, where: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except NotSound as error:
        raise ConfigError(f"parameters/witnesses.yml: {where}: {error}", hint=_HINT) from None
    if key.kind != kind:
        what = "a log's" if kind == LOG_KEY else "a witness's"
        raise ConfigError(
            f"parameters/witnesses.yml: {where}: the key of {key.name} is not {what}", hint=_HINT
        )
    return key
