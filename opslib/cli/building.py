"""`opslib new`, `lab`, `version`: building procedures."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from opslib import __version__
from opslib.cli import options, output
from opslib.errors import UsageError


@click.command("new")
@click.argument("procedure")
@click.option("--folder", default="diagnose", show_default=True, help="Part of the catalogue it belongs to.")
@click.option("--title", default="", help="The symptom, as people name it (default: from the name).")
@click.option("--notebooks", type=click.Path(path_type=Path), help="Where notebooks are (default: as found).")
@click.option(
    "--scenarios", type=click.Path(path_type=Path), help="Where scenarios are (default: in the package)."
)
def new_command(
    procedure: str, folder: str, title: str, notebooks: Path | None, scenarios: Path | None
) -> int:
    """Write the two files of a new procedure: the notebook, and how to break what it looks at.

    \b
    opslib new queue-backlog --folder diagnose --title "The queue grows"
    """
    from opslib import scaffold

    for path in scaffold.new_procedure(
        procedure, folder, title=title, notebooks=notebooks, scenarios=scenarios
    ):
        output.say(f"Written: {path}")
    output.say(f"Try it: opslib run {procedure} --system NAME, or open it with opslib lab")
    return 0


@click.command("lab", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab_command(arguments: tuple[str, ...]) -> int:
    """Open JupyterLab on the notebooks: same systems, same kernels, same records.

    What follows is passed on to JupyterLab.

    \b
    opslib lab --no-browser --port 8899
    """
    if find_spec("jupyterlab") is None:
        raise UsageError("JupyterLab is not installed", hint="pip install 'opslib[lab]'")
    from opslib.catalog import find_notebooks
    from opslib.config import find_parameters

    os.environ["OPSLIB_PARAMETERS"] = str(find_parameters())
    options.set_archive(None)
    words = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={find_notebooks()}", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, words)


@click.command("version")
@options.as_json
def version_command(as_json: bool) -> int:
    """Print versions of opslib and of what its records depend on.

    \b
    opslib version --json
    """
    from importlib.metadata import version
    from platform import platform, python_version

    names = ("papermill", "nbclient", "ipykernel", "pandas", "psycopg", "httpx")
    found = {"opslib": __version__, "python": python_version(), "platform": platform()}
    found |= {name: version(name) for name in names}
    if as_json:
        output.emit(found)
    else:
        for name, text in found.items():
            output.say(f"{name:10} {text}")
    return 0
