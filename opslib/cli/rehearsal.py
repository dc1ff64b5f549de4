"""`opslib sandbox`: the rehearsal environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from opslib.cli import options, output


@click.group("sandbox")
def sandbox_command() -> None:
    """The rehearsal environment: real databases, simulated apps and vendors, on this machine only.

    \b
    opslib sandbox up
    opslib sandbox break connections-exhausted-idle --system kulti
    opslib run database-connections --system kulti
    opslib sandbox heal
    opslib sandbox down
    """


@sandbox_command.command("up")
@click.argument("systems", nargs=-1)
@click.option(
    "--scale", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="How many rows."
)
@click.option("--foreground", is_flag=True, help="Stay in the foreground and show the log.")
@options.as_json
def up(systems: tuple[str, ...], scale: float, foreground: bool, as_json: bool) -> int:
    """Start the sandbox (default: all systems); it goes on in the background.

    \b
    opslib sandbox up klutr kulti
    """
    from opslib.sandbox import control

    line = output.note if foreground else output.progress(not as_json)
    control.up(list(systems) or None, scale=scale, foreground=foreground, progress=line)
    line("")
    return 0 if foreground else _status(as_json)


@sandbox_command.command("status")
@options.as_json
def status(as_json: bool) -> int:
    """Show what is up and what is broken.

    \b
    opslib sandbox status --json
    """
    return _status(as_json)


@sandbox_command.command("break")
@click.argument("scenario")
@options.system
@options.as_json
def break_scenario(scenario: str, system: str | None, as_json: bool) -> int:
    """Break the real thing; `opslib sandbox scenarios` lists the ways.

    \b
    opslib sandbox break lock-storm --system kulti
    """
    from opslib.sandbox import control

    control.break_(scenario, system)
    return _status(as_json)


@sandbox_command.command("heal")
@click.argument("scenario", required=False)
@options.system
@options.as_json
def heal(scenario: str | None, system: str | None, as_json: bool) -> int:
    """Undo a scenario exactly.

    Without one, all that are on; and each system has the deployments and variables again with which it
    began, whatever was done to mend them.
    """
    from opslib.sandbox import control

    control.heal(scenario, system)
    return _status(as_json)


@sandbox_command.command("down")
@options.as_json
def down(as_json: bool) -> int:
    """Stop the sandbox and remove what it made."""
    from opslib.sandbox import control

    control.down()
    return _status(as_json)


@sandbox_command.command("scenarios")
@options.system
@options.as_json
def scenarios(system: str | None, as_json: bool) -> int:
    """List the ways to break it, and what must then be found.

    \b
    opslib sandbox scenarios --system kulti
    """
    from opslib.sandbox import control

    found = [s for s in control.scenarios() if not system or not s.systems or system in s.systems]
    if as_json:
        output.emit({"scenarios": [_scenario(scenario) for scenario in found]})
        return 0
    rows = [(s.id, s.text, ", ".join(s.systems) or "all", ", ".join(s.expects)) for s in found]
    output.table(("SCENARIO", "WHAT IS BROKEN", "SYSTEMS", "FOUND BY"), rows)
    return 0


def _scenario(scenario: Any) -> dict[str, Any]:
    expects = {name: {"verdict": str(v), "cause": cause} for name, (v, cause) in scenario.expects.items()}
    return {"id": scenario.id, "text": scenario.text, "systems": list(scenario.systems), "expects": expects}


def _status(as_json: bool) -> int:
    from opslib.sandbox import control

    state = control.status()
    output.emit(state) if as_json else _print(state)
    return 0


def _print(state: Mapping[str, Any]) -> None:
    if not state.get("up"):
        output.say("The sandbox is down. Start it: opslib sandbox up")
        return
    output.say(f"The sandbox is up (process {state['pid']}).")
    broken = [str(name) for name in state.get("broken") or []]
    output.say(f"Broken: {', '.join(broken)}" if broken else "Nothing is broken.")
    rows = [(name, url) for name, url in sorted((state.get("apps") or {}).items())]
    output.table(("SYSTEM", "APP"), rows)
