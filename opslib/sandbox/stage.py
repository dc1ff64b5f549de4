"""Breaking and healing: which scenarios are on, and the rules for switching them."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from opslib.errors import SandboxError, UsageError
from opslib.sandbox import scenarios as folder
from opslib.sandbox.lookup import known
from opslib.sandbox.scenario import Scenario, World

Broken = tuple[str, str]


@cache
def catalogue() -> tuple[Scenario, ...]:
    """Return every scenario, by id; each module of `opslib.sandbox.scenarios` lists some."""
    found: dict[str, Scenario] = {}
    for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
        for scenario in importlib.import_module(module.name).SCENARIOS:
            if scenario.id in found:
                raise SandboxError(f"{module.name}: scenario {scenario.id} is listed twice")
            found[scenario.id] = scenario
    return tuple(found[name] for name in sorted(found))


def scenario(name: str) -> Scenario:
    """Return one scenario.

    Raises:
        UnknownName: there is none of that id; the hint has the close ones.
    """
    by_id = {each.id: each for each in catalogue()}
    return by_id[known("scenario", name, by_id)]


class Stage:
    """The scenarios that are on; one change at a time.

    Args:
        world: the real parts.
        changed: called after each change.
    """

    def __init__(self, world: World, changed: Callable[[], None] = lambda: None) -> None:
        self.world = world
        self._changed = changed
        self._order: list[Broken] = []
        self._one_at_a_time = threading.Lock()

    @property
    def broken(self) -> tuple[Broken, ...]:
        """What is broken, as (scenario id, system), the oldest first."""
        return tuple(self._order)

    def break_(self, name: str, system: str | None = None) -> tuple[Broken, ...]:
        """Switch a scenario on; nothing happens where it is on.

        Args:
            name: the scenario's id.
            system: where; everywhere it can be, when not given.

        Returns:
            What was switched on by this call.

        Raises:
            UnknownName: no such scenario, or no such system in this sandbox.
            UsageError: the scenario can't break that system.
            SandboxError: it could not be made; what it had done so far is undone.
        """
        chosen = scenario(name)
        with self._one_at_a_time:
            missing = [each for each in self._targets(chosen, system) if (name, each) not in self._order]
            if not missing:
                return ()
            with ThreadPoolExecutor(len(missing)) as pool:
                failures = list(pool.map(lambda each: self._make(chosen, each), missing))
            made = tuple((name, each) for each, failure in zip(missing, failures, strict=True) if not failure)
            self._order.extend(made)
            self._changed()
        self._raise(chosen, [failure for failure in failures if failure], self._order)
        return made

    def heal(self, name: str | None = None, system: str | None = None) -> tuple[Broken, ...]:
        """Switch scenarios off, the newest first; nothing happens where none is on.

        Where no scenario is named, what was deployed or set to mend them is forgotten, too: each system has
        the deployments and variables with which it began.

        Args:
            name: one scenario's id; all when not given.
            system: one system; all when not given.

        Returns:
            What was switched off by this call.

        Raises:
            UnknownName: no such scenario or system.
            SandboxError: something could not be restored; the rest is healed all the same.
        """
        if name is not None:
            scenario(name)
        if system is not None:
            known("system", system, self.world.databases.systems)
        healed: list[Broken] = []
        failures: list[Exception] = []
        with self._one_at_a_time:
            for each in reversed(self.broken):
                if name in (None, each[0]) and system in (None, each[1]):
                    self._undo(each, healed, failures)
            if name is None and not failures:
                self.world.web.begin_again(system)
            self._changed()
        if failures:
            raise SandboxError(
                f"Not everything could be healed: {'; '.join(map(str, failures))}"
            ) from failures[0]
        return tuple(healed)

    def _targets(self, chosen: Scenario, system: str | None) -> list[str]:
        there = self.world.databases.systems
        able = [each for each in there if not chosen.systems or each in chosen.systems]
        if system is None:
            if not able:
                raise UsageError(
                    f"{chosen.id} needs {' or '.join(chosen.systems)}, which this sandbox does not run"
                )
            return able
        if known("system", system, there) not in able:
            raise UsageError(
                f"{chosen.id} cannot break {system}", hint=f"it can break {', '.join(chosen.systems)}"
            )
        return [system]

    def _make(self, chosen: Scenario, system: str) -> Exception | None:
        try:
            chosen.make(self.world, system)
        except Exception as error:  # noqa: BLE001  whatever went wrong, half a scenario must not stay
            try:
                chosen.restore(self.world, system)
            except Exception as second:  # noqa: BLE001  reported together with the first
                error.add_note(f"and undoing it failed: {second}")
            self.world.release(chosen.id, system)
            return error
        return None

    def _undo(self, each: Broken, healed: list[Broken], failures: list[Exception]) -> None:
        try:
            scenario(each[0]).restore(self.world, each[1])
        except Exception as error:  # noqa: BLE001  collected and raised once the rest is healed
            failures.append(error)
            return
        self._order.remove(each)
        healed.append(each)

    @staticmethod
    def _raise(chosen: Scenario, failures: Sequence[Exception], others: Sequence[Broken]) -> None:
        if failures:
            notes = "".join(f" ({note})" for note in getattr(failures[0], "__notes__", ()))
            first = str(failures[0]).partition("\n")[0]
            hint = "heal what is broken first: `opslib sandbox heal`" if others else ""
            raise SandboxError(f"{chosen.id} could not be made: {first}{notes}", hint=hint) from failures[0]
