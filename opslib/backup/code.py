"""The backup of the code: the remote of its repository, and the tags of its releases."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opslib.config.model import SANDBOX
from opslib.errors import NotNamed
from opslib.git import git

if TYPE_CHECKING:
    from opslib.config import Environment

_VENDOR = "github"
_HEADS, _TAGS, _PEELED = "refs/heads/", "refs/tags/", "^{}"


@dataclass(frozen=True)
class Listed:
    """What a remote lists.

    Args:
        branches, tags: their names; tags by version, the highest first.
    """

    branches: tuple[str, ...]
    tags: tuple[str, ...]


def remote_of(env: Environment) -> str:
    """Return the address of the repository's remote, as the system's file has it.

    Raises:
        NotNamed: it has none, or it is rehearsed: then nothing outside is asked.
    """
    access = env.vendors.get(_VENDOR)
    named = access.settings if access and env.name != SANDBOX else {}
    if remote := named.get("remote"):
        return remote
    if repository := named.get("repository"):
        return f"https://github.com/{repository}.git"
    raise NotNamed(
        f"{env.system.name} names no repository in {env.name}",
        hint="set `repository` or `remote` under vendors.github.settings",
    )


def listed(remote: str) -> Listed:
    """Return what a remote lists; nothing is fetched.

    Args:
        remote: an address that git knows; a password never stands in it.

    Raises:
        SourceError: it cannot be asked.
    """
    with tempfile.TemporaryDirectory() as nowhere:
        said = git(Path(nowhere), ("ls-remote", "--quiet", "--sort=-v:refname", "--", remote)).decode()
    names = [line.partition("\t")[2] for line in said.splitlines()]
    return Listed(_below(names, _HEADS), _below(names, _TAGS))


def _below(names: list[str], prefix: str) -> tuple[str, ...]:
    return tuple(
        name.removeprefix(prefix) for name in names if name.startswith(prefix) and _PEELED not in name
    )
