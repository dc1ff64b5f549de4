"""A git remote as a witness: the head of the log is committed to a branch that can only grow.

It signs nothing, so it proves nothing to others; but whoever rewrites the log cannot rewrite a remote that
refuses forced pushes, and what it holds can be read back and given to a verification.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from opslib.archive import shared
from opslib.config import Witness
from opslib.errors import Malformed, SourceError, Unreachable
from opslib.evidence.log import Log
from opslib.evidence.notes import LARGEST_NOTE, Checkpoint, Note
from opslib.evidence.plain import NotSound
from opslib.evidence.trusting import quickly_verified
from opslib.evidence.witnesses.cosigning import contradicted
from opslib.evidence.witnesses.known import Asked, remember, state_folder
from opslib.git import git
from opslib.home import private
from opslib.verdict import Status

KIND = "git"
_TRIES = 3  # others may push to the same branch at the same time
_HELD = "refs/heads/held"


@dataclass(frozen=True)
class _Git:
    """A bare repository of ours that stands between the log and a remote.

    Args:
        folder: of the repository.
        remote: where to push.
        branch: to which branch.
        file: the log's place in it.
    """

    folder: Path
    remote: str
    branch: str
    file: str

    def __call__(self, *words: str, text: bytes = b"", index: str = "") -> bytes:
        """Run git and return what it prints.

        Raises:
            Unreachable: it took too long.
            SourceError: it failed; its last words are in the message.
        """
        return git(self.folder, words, text, {"GIT_INDEX_FILE": index} if index else {})

    def opened(self) -> _Git:
        """Return it, made if it is not there yet."""
        if not (self.folder / "HEAD").exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self("init", "--quiet", "--bare", ".")
        return self

    def fetched(self) -> str:
        """Return the commit that the branch of the remote has now; nothing where there is no such branch."""
        listed = self("ls-remote", "--", self.remote, f"refs/heads/{self.branch}").decode().split()
        if listed:
            what = f"+refs/heads/{self.branch}:{_HELD}"
            self("fetch", "--quiet", "--no-tags", "--depth", "1", "--", self.remote, what)
            return self("rev-parse", "--verify", _HELD).decode().strip()
        return ""

    def content(self, commit: str) -> bytes:
        """Return what the log's file holds in a commit; nothing where it is not in it."""
        if not commit or not self("ls-tree", commit, "--", self.file):
            return b""
        size = int(self("cat-file", "-s", f"{commit}:{self.file}"))
        if size > LARGEST_NOTE:
            raise Malformed(f"the head that it holds has {size} bytes")
        return self("cat-file", "blob", f"{commit}:{self.file}")

    def committed(self, content: bytes, parent: str, message: str) -> str:
        """Return a new commit in which the log's file has this content."""
        index = str(self.folder / f"index-{os.getpid()}")
        try:
            self("read-tree", *([parent] if parent else ["--empty"]), index=index)
            blob = self("hash-object", "-w", "--stdin", text=content).decode().strip()
            self("update-index", "--add", "--cacheinfo", f"100644,{blob},{self.file}", index=index)
            tree = self("write-tree", index=index).decode().strip()
        finally:
            Path(index).unlink(missing_ok=True)
        return self("commit-tree", tree, *(["-p", parent] if parent else []), "-m", message).decode().strip()

    def pushed(self, commit: str) -> str:
        """Push a commit, never by force; return why it was refused, or nothing."""
        try:
            self("push", "--porcelain", "--", self.remote, f"{commit}:refs/heads/{self.branch}")
        except Unreachable:
            raise
        except SourceError as error:
            return error.message
        return ""


def ask(witness: Witness, log: Log) -> Asked:
    """Push the present head of our log to a remote, unless it holds what our log does not continue.

    Args:
        witness: of kind git.
        log: ours.
    """
    try:
        return _asked(witness, log, _repository(witness, log).opened())
    except (SourceError, NotSound) as error:
        return Asked(witness.name, KIND, Status.UNKNOWN, getattr(error, "message", str(error)))


def held(witness: Witness, log: Log) -> Note | None:
    """Return the head of our log that a remote holds; None where it has none.

    Raises:
        SourceError: it cannot be asked.
        NotSound: what it holds is no head that our log has signed.
    """
    git = _repository(witness, log).opened()
    return _signed(git.content(git.fetched()), log)


def _asked(witness: Witness, log: Log, git: _Git) -> Asked:
    refused = ""
    for _ in range(_TRIES):
        parent, note = git.fetched(), log.head()
        if note is None:
            return Asked(witness.name, KIND, Status.SKIPPED, "nothing was ever logged")
        head, there = Checkpoint.parse(note.text), _signed(git.content(parent), log)
        if found := _contradicted(witness, log, there, head.size):
            return found
        if there and there.text == note.text:
            return _holds(witness, log, note, head.size)
        message = f"{head.origin}: {head.size} leaves"
        refused = git.pushed(git.committed(note.encode(), parent, message))
        if not refused:
            return _holds(witness, log, note, head.size)
    return Asked(witness.name, KIND, Status.UNKNOWN, f"it refused the head: {refused}")


def _contradicted(witness: Witness, log: Log, there: Note | None, size: int) -> Asked | None:
    """Return what is wrong if a remote holds what our log does not continue, or less than it did."""
    last = _last(witness.name, log)
    if there is None:
        if last is None:
            return None
        text = f"it held {last.size} leaves and holds nothing any more: its branch was taken away"
        return Asked(witness.name, KIND, Status.CRITICAL, text)
    head = Checkpoint.parse(there.text)
    if not log.continues(head):
        log.keep_cosigned(there)
        return contradicted(witness.name, KIND, head, size)
    if last and head.size < last.size <= size:
        text = f"it held {last.size} leaves and holds {head.size} now: its branch was put back"
        return Asked(witness.name, KIND, Status.CRITICAL, text, head.size)
    return None


def _holds(witness: Witness, log: Log, note: Note, size: int) -> Asked:
    remember(witness.name, log.folder, note)
    return Asked(witness.name, KIND, Status.OK, f"holds {size} leaves", size)


def _last(name: str, log: Log) -> Checkpoint | None:
    """Return the head that a remote held when it was asked last."""
    content = shared.read(state_folder(log.folder) / name)
    return Checkpoint.parse(Note.parse(content).text) if content else None


def _signed(content: bytes, log: Log) -> Note | None:
    if not content:
        return None
    note = Note.parse(content)
    if not note.signers(log.keys, quickly_verified):
        raise NotSound("the head that it holds is not signed with the key of this log")
    return note


def _repository(witness: Witness, log: Log) -> _Git:
    remote = str(witness.remote)
    ours = hashlib.sha256(f"{remote}\n{witness.branch}\n{log.folder}".encode()).hexdigest()[:32]
    file = f"{hashlib.sha256(log.signer.origin.encode()).hexdigest()}/checkpoint"
    return _Git(private("witness-git") / ours, remote, witness.branch, file)
