"""Whom to believe about a log: a trust policy as C2SP's tlog-policy has it, one entry a line.

log     <key> [<url>]
witness <name> <key> [<url>]
group   <name> <all|any|number> <name>...
quorum  <name|none>
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from opslib.evidence.notes import LOG_KEY, WITNESS_KEY, VerifierKey
from opslib.evidence.plain import NotSound, whole

_NOBODY = "none"
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Group:
    """Some witnesses, or groups of them.

    Args:
        threshold: how many members must have witnessed.
        members: their names.
    """

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Which logs and witnesses are known, and how many witnesses are enough.

    Args:
        logs: keys of logs; the name of a key is the origin of its log.
        witnesses: name -> key.
        groups: name -> group.
        quorum: a witness, a group or `none`.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Return a policy.

        Raises:
            NotSound: a line is not understood; the message has its number.
        """
        if _FORBIDDEN.search(text):
            raise NotSound("the policy holds control characters")
        draft = _Draft()
        for number, line in enumerate(text.split("\n"), 1):
            words = re.split(r"[ \t]+", line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    draft.take(words)
                except NotSound as error:
                    raise NotSound(f"line {number} of the policy: {error}") from None
        if not draft.quorum:
            raise NotSound("the policy has no line `quorum`")
        return cls(tuple(draft.logs), draft.witnesses, draft.groups, draft.quorum)

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All keys, of logs and witnesses."""
        return (*self.logs, *self.witnesses.values())

    @property
    def wants_witnesses(self) -> bool:
        """Whether anybody besides the log has to sign."""
        return self.quorum != _NOBODY

    def met(self, signers: Collection[VerifierKey]) -> bool:
        """Say whether enough witnesses are among those who signed."""
        return not self.wants_witnesses or self._witnessed(self.quorum, signers)

    def _witnessed(self, name: str, signers: Collection[VerifierKey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name] in signers
        group = self.groups[name]
        return sum(self._witnessed(member, signers) for member in group.members) >= group.threshold


@dataclass
class _Draft:
    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""
    grouped: set[str] = field(default_factory=set)

    def take(self, words: list[str]) -> None:
        kind, rest = words[0], words[1:]
        if kind == "log" and len(rest) in (1, 2):
            self.logs.append(self._new_key(rest[0], LOG_KEY))
        elif kind == "witness" and len(rest) in (2, 3):
            self._free(rest[0])
            self.witnesses[rest[0]] = self._new_key(rest[1], WITNESS_KEY)
        elif kind == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], rest[2:])
        elif kind == "quorum" and len(rest) == 1 and not self.quorum:
            self.quorum = rest[0] if rest[0] == _NOBODY else self._known(rest[0])
        else:
            raise NotSound(f"`{' '.join(words)[:60]}` is not understood, or stands there twice")

    def _new_key(self, text: str, kind: int) -> VerifierKey:
        key = VerifierKey.parse(text)
        if key.kind != kind:
            raise NotSound(f"the key of {key.name} is for another purpose")
        if key.public in {known.public for known in (*self.logs, *self.witnesses.values())}:
            raise NotSound(f"the key of {key.name} stands there twice")
        return key

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._free(name)
        for member in members:
            if self._known(member) in self.grouped:
                raise NotSound(f"{member} is in a group already")
            self.grouped.add(member)
        need = {"any": 1, "all": len(members)}.get(threshold) or whole(threshold)
        if not 1 <= need <= len(members):
            raise NotSound(f"{need} of {len(members)} members cannot be asked for")
        self.groups[name] = Group(need, tuple(members))

    def _free(self, name: str) -> None:
        if name == _NOBODY or name in self.witnesses or name in self.groups:
            raise NotSound(f"the name {name} is taken")

    def _known(self, name: str) -> str:
        if name not in self.witnesses and name not in self.groups:
            raise NotSound(f"there is no {name} above")
        return name
