"""Keys that took the place of others: from those that somebody trusts to the ones before and after them.

Old and new key have both signed a rotation, so it can be followed either way, and nobody needs to believe
the log that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opslib.evidence.events import Event, KeyRotated, decode_event
from opslib.evidence.findings import Finding, Kind
from opslib.evidence.notes import LOG_KEY, Check, Checkpoint, Note, VerifierKey
from opslib.evidence.plain import NotSound, content_of, strict64, whole
from opslib.evidence.policy import Policy
from opslib.evidence.proofs import Trust
from opslib.evidence.runners import runner_keys
from opslib.evidence.tiles import CHECKPOINT, WIDTH, bundles_with

RUNNER, LOG_ROLE = "runner", "log"
ROTATED = "opslib.dev/key-rotated/v1"
ROTATIONS = "rotations"  # so that one record of a large log is verified without reading all of that
NO_ROTATIONS = b"leaves in which a key took the place of another\n"
_ROTATION = b'"type":"key.rotated"'


@dataclass(frozen=True)
class Chain:
    """Whom to believe, once rotations were followed.

    Args:
        trust: with the keys before and after those that were given.
        runners: fingerprint of a retired key of a runner -> index of the leaf that retires it.
        logs: retired key of the log, 32 bytes -> that index.
        findings: rotations that do not hold.
    """

    trust: Trust
    runners: Mapping[str, int] = field(default_factory=dict)
    logs: Mapping[bytes, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Link:
    index: int
    role: str
    old: tuple[str, bytes]  # fingerprint, 32 bytes
    new: tuple[str, bytes]


def rotation_message(role: str, old: str, new: str) -> bytes:
    """Return what both keys sign.

    Args:
        role: `runner` or `log`.
        old: the key that is retired, `ssh-ed25519 AAAA…`.
        new: the one that takes its place.
    """
    return f"{ROTATED}\n{role}\n{old}\n{new}\n".encode()


def followed(trust: Trust, events: Iterable[tuple[int, Event]]) -> Chain:
    """Return whom to believe, given the rotations that a log holds.

    Args:
        trust: whom somebody believes already.
        events: of the log, in their order.
    """
    links: list[_Link] = []
    findings: list[Finding] = []
    for index, event in events:
        if isinstance(event, KeyRotated):
            try:
                links.append(_linked(index, event, links, trust.check))
            except _Retired as error:
                findings.append(Finding(Kind.RETIRED_KEY, f"key of the {event.role}", str(error), index))
            except NotSound as error:
                findings.append(Finding(Kind.FORGED, f"key of the {event.role}", str(error), index))
    if not links:
        return Chain(trust, findings=tuple(findings))
    runners, logs = ([one for one in links if one.role == role] for role in (RUNNER, LOG_ROLE))
    known = dict(_reached(trust.runners.items(), runners))
    extended = Trust(_extended(trust.policy, logs), known, trust.check, trust.people)
    retired = {one.old[0]: one.index for one in reversed(runners)}
    heads = {one.old[1]: one.index for one in reversed(logs)}
    return Chain(extended, retired, heads, tuple(findings))


def rotations(folder: Path) -> Iterator[tuple[int, Event]]:
    """Yield the events of a log in which a key takes the place of another; nothing else is looked at.

    Args:
        folder: of the log.

    Raises:
        NotSound: the log cannot be read where they are, or may be.
    """
    size = Checkpoint.parse(Note.parse(content_of(folder / CHECKPOINT) or b"").text).size
    listed, every = _listed(folder), range(-(-size // WIDTH))
    numbers = every if listed is None else sorted({at // WIDTH for at in listed if at < size})
    for first, leaves in bundles_with(folder, size, _ROTATION, numbers):
        yield from ((at, decode_event(leaf)) for at, leaf in enumerate(leaves, first) if _ROTATION in leaf)


def rotations_found(folder: Path) -> list[tuple[int, Event]]:
    """Return as many of a log's rotations as can be read: what cannot be leads to no further key."""
    found: list[tuple[int, Event]] = []
    with suppress(NotSound):
        found.extend(rotations(folder))
    return found


def unlisted(folder: Path, events: Iterable[tuple[int, Event]]) -> Iterator[Finding]:
    """Yield rotations that whoever verifies a single record would not come upon.

    Args:
        folder: of the log.
        events: all that it holds.
    """
    listed = _listed(folder)
    if listed is None:
        return
    for index, event in events:
        if isinstance(event, KeyRotated) and index not in listed:
            text = f"leaf {index}, in which a key took the place of another, is not listed there"
            yield Finding(Kind.LOG_EDITED, ROTATIONS, text, index)


def _listed(folder: Path) -> list[int] | None:
    """Return the leaves that are said to be rotations; None where nobody says."""
    content = content_of(folder / ROTATIONS) or b""
    try:
        lines = content.removeprefix(NO_ROTATIONS).decode("ascii").splitlines()
        return [whole(line) for line in lines] if content.startswith(NO_ROTATIONS) else None
    except ValueError:
        return None


class _Retired(NotSound):
    """A key names its successor that does not count any more."""


def _linked(index: int, event: KeyRotated, before: Iterable[_Link], check: Check) -> _Link:
    old, new = _one_key(event.old), _one_key(event.new)
    message = rotation_message(event.role, event.old, event.new)
    for (name, raw), signature in ((old, event.vouched), (new, event.accepted)):
        if not check(raw, message, strict64(signature)):
            raise NotSound(f"is said to have been replaced, but {name} has not signed that")
    if event.role not in (RUNNER, LOG_ROLE):
        raise NotSound(f"is of no role that is known: {event.role[:40]!r}")
    made = _Link(index, event.role, old, new)
    for one in before:
        if one.role == made.role and one.old == old and one.new != new:
            raise _Retired(f"{old[0]} had been retired when it named {new[0]} as its successor")
    return made


def _one_key(text: str) -> tuple[str, bytes]:
    found = list(runner_keys(text).items())
    if len(found) != 1:
        raise NotSound("is said to have been replaced, but not by which one key")
    return found[0]


def _reached(
    known: Iterable[tuple[str, bytes]], links: Iterable[_Link]
) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """Yield keys, and all that were before or came after one of them."""
    found, left = dict(known), list(links)
    while near := [one for one in left if one.old[0] in found or one.new[0] in found]:
        found.update(key for one in near for key in (one.old, one.new))
        left = [one for one in left if one not in near]
    yield from found.items()


def _extended(policy: Policy, links: list[_Link]) -> Policy:
    keys = {(key.name, key.public): key for key in policy.logs}
    names = {raw: name for one in links for name, raw in (one.old, one.new)}
    for key in policy.logs:
        for _, raw in _reached([(names.get(key.public, ""), key.public)], links):
            keys.setdefault((key.name, raw), VerifierKey(key.name, LOG_KEY, raw))
    return Policy(tuple(keys.values()), policy.witnesses, policy.groups, policy.quorum)
