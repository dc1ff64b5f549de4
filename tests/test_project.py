"""The files around the package stay in step with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def pyproject() -> dict[str, object]:
    """Return the project table."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_environment_yml_lists_what_pyproject_asks_for() -> None:
    """Conda users get the same packages with the same bounds."""
    project = pyproject()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict) and isinstance(project["dependencies"], list)
    wanted = [*project["dependencies"], *extras["lab"], *extras["sandbox"], "-e ."]
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert next(entry["pip"] for entry in listed if isinstance(entry, dict)) == wanted


def test_every_dependency_has_a_lower_bound() -> None:
    """A version that was never tried must not be picked by a resolver."""
    project = pyproject()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict) and isinstance(project["dependencies"], list)
    for requirement in [*project["dependencies"], *(r for group in extras.values() for r in group)]:
        assert re.search(r"[>=]=", requirement), requirement


def test_make_alone_lists_every_target() -> None:
    """A stranger types `make` first."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lab", "lint", "bench", "clean"):
        assert f"make {target} " in listed


def test_the_command_line_imports_neither_jupyter_servers_nor_pandas() -> None:
    """`opslib --help` must answer at once, and a small machine must not load a web server for it."""
    program = (
        "import sys; sys.argv = ['opslib', '--help']\n"
        "from opslib.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'pandas', 'matplotlib', 'jupyter_server', 'IPython', 'psycopg', 'papermill', 'pydantic'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_changelog_names_the_version() -> None:
    """A release that no one can read about is half a release."""
    assert f"## {pyproject()['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_file_speaks_of_a_machine_or_of_work_left() -> None:
    """The project speaks of itself only."""
    bad = re.compile(r"/(?:work|farm)/|\bTO" + r"DO\b|\bFIX" + r"ME\b")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.splitlines():
        if name.endswith((".py", ".md", ".yml", ".sql", ".toml", ".ipynb", "Makefile")):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not bad.search(text), name
