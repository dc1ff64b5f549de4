"""Options that say whom to believe about evidence, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.errors import UsageError

if TYPE_CHECKING:
    from opslib.evidence import Trust

_FILE = click.Path(path_type=Path)
_KEYS = (
    click.option("--policy", metavar="FILE", type=_FILE, help="Whom to believe: logs, witnesses, quorum."),
    click.option("--runner-keys", metavar="FILE", type=_FILE, help="Public keys of runners, one a line."),
)
people = click.option(
    "--people-keys",
    metavar="FILE",
    type=_FILE,
    help="With these: keys of people who approve, as OpenSSH's allowed_signers.",
)


def keys(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `trusted` reads."""
    for option in reversed(_KEYS):
        command = option(command)
    return command


def must_belong(policy: Path | None, runner_keys: Path | None, people_keys: Path | None) -> None:
    """See that files of keys were given together, as each alone would be mixed with keys of this machine.

    Raises:
        UsageError: they were not.
    """
    if bool(policy) != bool(runner_keys):
        raise UsageError("--policy and --runner-keys belong together", hint="give both, or none")
    if people_keys and not policy:
        hint = "give all three; without them the keys of this machine and parameters/people.yml are taken"
        raise UsageError("--people-keys belongs to --policy and --runner-keys", hint=hint)


def trusted(
    archive: Path, policy: Path | None, runner_keys: Path | None, people_keys: Path | None = None
) -> Trust:
    """Return whom to believe: what the files say, else the keys of this machine and of the people known here.

    Raises:
        UsageError: one of the files was given without the others.
        ConfigError: one cannot be read, or is not understood.
    """
    from opslib.evidence import load_trust
    from opslib.runner import notary
    from opslib.runner.people import known_people

    must_belong(policy, runner_keys, people_keys)
    if policy and runner_keys:
        return load_trust(policy, runner_keys, people_keys)
    return replace(notary.own_trust(archive), people=known_people())
