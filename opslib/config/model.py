"""A system, as its file describes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from opslib.config import parts
from opslib.config.fields import Part, Text, is_placeholder
from opslib.config.files import FileBucket
from opslib.config.limits import Limit
from opslib.config.routines import Routine
from opslib.config.validate import close
from opslib.errors import UnknownName

if TYPE_CHECKING:
    from opslib.config.environment import Environment

SANDBOX = "sandbox"


class System(Part):
    """One system: everything that its runbook states, each figure with its source.

    Args:
        name: the file's name without its ending.
        title: its name as people write it.
        owner: who answers for it.
        runbook: title of the document that the figures come from.
        environments: by name; `sandbox` is always there besides.
        limits: all limits that hold, its own and opslib's.
    """

    name: Text
    title: Text
    owner: Text
    runbook: str = ""
    review: parts.Review = parts.Review()
    status_page: str = ""
    environments: dict[str, parts.EnvironmentFile]
    health: tuple[parts.Endpoint, ...] = ()
    smoke: tuple[parts.Endpoint, ...] = ()
    limits: dict[str, Limit] = Field(default_factory=dict)
    vendors: dict[str, parts.Vendor] = Field(default_factory=dict)
    variables: tuple[parts.Variable, ...] = ()
    tables: dict[str, parts.Table] = Field(default_factory=dict)
    files: dict[str, FileBucket] = Field(default_factory=dict)
    pools: dict[str, parts.Pool] = Field(default_factory=dict)
    migrations: parts.Migrations | None = None
    webhooks: tuple[parts.Webhook, ...] = ()
    jobs: tuple[parts.Job, ...] = ()
    flags: parts.Flags | None = None
    routines: dict[str, Routine] = Field(default_factory=dict)
    contacts: tuple[parts.Contact, ...] = ()
    channels: dict[str, Text] = Field(default_factory=dict)
    severities: dict[str, parts.Severity] = Field(default_factory=dict)
    dashboards: tuple[parts.Dashboard, ...] = ()
    alerts: tuple[parts.Alert, ...] = ()
    tools: tuple[Text, ...] = ()
    access: dict[str, Text] = Field(default_factory=dict)
    facts: dict[str, parts.Fact] = Field(default_factory=dict)
    records: parts.Records = parts.Records()

    @field_validator("routines")
    @classmethod
    def _routines_know_their_names(cls, routines: dict[str, Routine]) -> dict[str, Routine]:
        return {name: routine.named(name) for name, routine in routines.items()}

    def __repr_args__(self) -> Iterator[tuple[str, str]]:
        # The whole file would fill a notebook's page.
        yield "name", self.name

    @property
    def required_env(self) -> tuple[str, ...]:
        """Names of the environment variables without which the system does not work."""
        return tuple(dict.fromkeys(v.name for v in self.variables if not v.optional))

    def required_at(self, vendor: str) -> tuple[str, ...]:
        """Return those of `required_env` that are set at a vendor: all whose `where` names no other place."""
        elsewhere = {v.name for v in self.variables if v.where not in ("", vendor)}
        return tuple(name for name in self.required_env if name not in elsewhere)

    @property
    def environment_names(self) -> tuple[str, ...]:
        """Names of all environments, the sandbox last."""
        return (*self.environments, SANDBOX)

    def environment(self, name: str) -> Environment:
        """Return one environment; `sandbox` is production's shape with the sandbox's addresses.

        Raises:
            UnknownName: the system has no such environment; the message lists those it has.
        """
        from opslib.config.environment import build

        return build(self, _known(name, self.environment_names, f"{self.name} has no environment"))

    def routine(self, name: str) -> Routine:
        """Return one routine.

        Raises:
            UnknownName: the system has no such routine; the message lists those it has.
        """
        return self.routines[_known(name, self.routines, f"{self.name} has no routine")]

    def fact(self, name: str) -> parts.Fact:
        """Return a figure of the runbook.

        Raises:
            UnknownName: the system states no such figure.
        """
        return self.facts[_known(name, self.facts, f"{self.name} states no")]

    def placeholders(self) -> tuple[tuple[str, str], ...]:
        """Return (key, text) of every value that was never filled in, such as `[Add contact]`."""
        return tuple(_placeholders(self.model_dump(exclude_defaults=True), ""))


def _known(name: str, known: Any, what: str) -> str:
    if name in known:
        return name
    guess = close(name, known)
    there = ", ".join(known) or "none"
    raise UnknownName(
        f"{what} {name!r}; there is: {there}",
        hint=f"did you mean {guess}?" if guess else "choose one of these",
    )


def _placeholders(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _placeholders(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _placeholders(inner, f"{where}[{index}]")
    elif isinstance(value, str) and is_placeholder(value):
        yield where, value
