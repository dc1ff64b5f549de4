"""Words that people give and that are kept for good: text of a length, without the secrets that are known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opslib.cli import output
from opslib.errors import OpsError, UsageError

if TYPE_CHECKING:
    from opslib.config import Environment

_LONGEST = 2000  # characters


def must_be_words(name: str, text: str) -> None:
    """Refuse what could not be kept as it stands, or would not be read as it was written.

    Raises:
        UsageError: it is no text in UTF-8, or too long.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"the {name} is no text in UTF-8")
    if len(text) > _LONGEST:
        raise UsageError(f"the {name} is longer than {_LONGEST} characters")


@contextmanager
def telling(*targets: Environment) -> Iterator[None]:
    """Have what is said of wrong words masked: a secret that was typed in the wrong place is repeated there.

    Args:
        targets: whose secrets; they are looked up only where something is wrong.
    """
    try:
        yield
    except UsageError:
        from opslib.runner.secrets import secret_values

        for target in targets:
            secret_values(target)
        raise


def masked(text: str, system: str, environment: str) -> str:
    """Return a text without the secrets of an environment, masked as in its records.

    Args:
        text: what somebody wrote.
        system: whose secrets.
        environment: of the system.
    """
    from opslib import config, masking
    from opslib.runner.secrets import secret_values

    try:
        known = secret_values(config.load_system(system).environment(environment))
    except OpsError as error:
        output.note(f"opslib: secrets of {system} could not be masked: {error.message}")
        known = masking.registered()
    return masking.Masker(known).mask(text)
