"""`opslib kernels`: the process that keeps kernels warm."""

from __future__ import annotations

from typing import Any

import click

from opslib.cli import options, output
from opslib.errors import UsageError

_MIB = 1 << 20


@click.group("kernels")
def kernels_command() -> None:
    """Warm kernels: one process has imported what notebooks import, and forks a kernel for each run.

    It starts when it is first needed and ends after a quarter of an hour without a kernel.
    OPSLIB_KERNELS=plain does without it.

    \b
    opslib kernels status
    opslib kernels stop
    """


@kernels_command.command("status")
@options.as_json
def status(as_json: bool) -> int:
    """Show whether it runs, which kernels it has, and what it takes.

    \b
    opslib kernels status --json
    """
    from opslib.kernels import client, spec

    found = {**client.status(), "kernelspec": spec.installed()}
    if as_json:
        output.emit(found)
        return 0
    for line in _words(found):
        output.say(line)
    return 0


@kernels_command.command("stop")
@click.option("--now", is_flag=True, help="Kill the kernels that run; otherwise they are waited for.")
@options.as_json
def stop(now: bool, as_json: bool) -> int:
    """Have it fork no more, and end with its last kernel."""
    from opslib.kernels import client

    found = client.stop(now=now)
    if as_json:
        output.emit(found)
    elif not found["running"]:
        output.say("Nothing is kept warm; there is nothing to stop.")
    elif found["kernels"] and not now:
        output.say(f"It ends with the last of {len(found['kernels'])} kernels.")
    else:
        output.say("Stopped.")
    return 0


@kernels_command.command("install")
@click.option("--user", is_flag=True, help="For this user, whichever Jupyter looks there.")
@click.option("--prefix", help="Below this folder (default: this Python's own).")
@options.as_json
def install(user: bool, prefix: str | None, as_json: bool) -> int:
    """Install the kernelspec `opslib`, so that Jupyter and papermill find warm kernels.

    \b
    papermill --kernel opslib notebook.ipynb out.ipynb
    """
    from opslib.kernels import spec

    if user and prefix:
        raise UsageError("--user and --prefix are two places", hint="give one of them")
    try:
        folder = spec.install(prefix, user=user)
    except OSError as error:
        raise UsageError(f"the kernelspec cannot be written: {error}", hint="try --user") from error
    if as_json:
        output.emit({"kernelspec": spec.NAME, "folder": str(folder)})
    else:
        output.say(f"Installed: {folder}")
    return 0


def _words(found: dict[str, Any]) -> list[str]:
    lines = [] if found["kernelspec"] else ["The kernelspec is not installed: opslib kernels install"]
    if found["usable"]:
        return [f"Kernels are plain: {found['usable']}", *lines]
    if not found["running"]:
        return ["Nothing is kept warm; the next run starts it.", *lines]
    kernels, forks, seconds = len(found["kernels"]), found["forks"], found["seconds"]
    lines.insert(0, f"Process {found['pid']} runs for {seconds:.0f} s; {forks} forked, {kernels} alive.")
    memory = found["memory"]
    lines.insert(1, f"Memory: {memory['rss'] / _MIB:.0f} MiB, its own share {memory['pss'] / _MIB:.0f} MiB.")
    return lines
