"""Make sure that a person has read the screen: what a pipe, a schedule or `--json` can never do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opslib.errors import Refused, UsageError
from opslib.show import plainly

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.gate.plan import Plan

_LONGEST_VALUE = 65536


def production(plan: Plan, env: Environment, *, as_json: bool = False) -> str:
    """Where real users are, ask for what only a reader of the plan knows.

    Returns:
        What was typed; "" where nothing is asked.

    Raises:
        Refused: there is no person at a terminal, or something else was typed.
    """
    if not env.production:
        return ""
    return _typed(f"changes in {env.name} are agreed to", "plan", *challenge(plan), as_json)


def disposal(due: int, digest: str, *, as_json: bool = False) -> None:
    """Before records are destroyed, ask for what only a reader of the list above knows.

    Raises:
        Refused: there is no person at a terminal, or something else was typed.
    """
    question = "Type the number of records and the plan's digest, as above"
    _typed("the end of records is agreed to", "list", question, f"{due} {digest}", as_json)


def _typed(what: str, where: str, question: str, answer: str, as_json: bool) -> str:
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "do it on a terminal, without --json and pipes"
        raise Refused(f"{what} by a person at a terminal", hint=hint)
    typed = str(click.prompt(question, err=True, default="", show_default=False)).strip()
    if " ".join(typed.split()).casefold() != " ".join(answer.split()).casefold():
        hint = f"read the {where}, then try again"
        raise Refused(f"that is not what the {where} says; nothing was changed", hint=hint)
    return typed


def challenge(plan: Plan) -> tuple[str, str]:
    """Return a question about a plan, and its answer, which the question does not give away."""
    first = plainly.line(plan.draft.targets[0].name)  # as it stands on the screen
    numbers = plan.draft.numbers
    name, figure = next(iter(numbers.items())) if numbers else ("targets", len(plan.draft.targets))
    return (
        f"Type the name of the first target and the number of {name}, as in the plan above",
        f"{first} {figure}",
    )


def secret_value() -> str:
    """Return a secret value from a pipe, or from a person without echo.

    Raises:
        UsageError: it is empty, too long, or no text in UTF-8.
    """
    if sys.stdin.isatty():
        value = str(click.prompt("Value", hide_input=True, err=True))
    else:
        value = _piped().removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError("the value on stdin is empty", hint="opslib plan ... --stdin < FILE")
    if len(value) > _LONGEST_VALUE:
        raise UsageError(f"the value on stdin is longer than {_LONGEST_VALUE} characters")
    return value


def _piped() -> str:
    try:
        return sys.stdin.read(_LONGEST_VALUE + 1)
    except UnicodeDecodeError:
        # Not repeated, and not in a log: it may be the value.
        raise UsageError("the value on stdin is no text in UTF-8") from None
