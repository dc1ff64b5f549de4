"""What the README says is executed."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_the_table_is_the_one_made_from_the_notebooks() -> None:
    """A list kept by hand would be wrong by the second procedure."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.filled(README) == README


def test_its_links_and_its_picture_exist() -> None:
    """A README is the first thing that a stranger clicks on."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def checkout(folder: Path, block: str) -> Path:
    """Return a copy of what the commands read and write, so that none of them touches the project."""
    # A second copy of the package keeps runs from warm kernels; only `new` writes into it.
    package = ("opslib",) if "opslib new" in block else ()
    for name in ("notebooks", "parameters", *package):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A home with a short path, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="opshome-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def project_files() -> set[Path]:
    """Return what other tests would find; what Python compiles beside them meanwhile is no file of ours."""
    found = (path for name in ("notebooks", "opslib", "parameters") for path in (ROOT / name).rglob("*.*"))
    return {path for path in found if path.suffix in (".ipynb", ".py", ".yml")}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_command_does_what_is_said(tmp_path: Path, block: str, short_home: Path) -> None:
    """Each line ends with exit code 0, or with the code that its comment names."""
    place, before = checkout(tmp_path, block), project_files()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    gone = {"OPSLIB_PARAMETERS", "OPSLIB_ARCHIVE", "OPSLIB_NOTEBOOKS", "DATABASE_URL"}
    env = {name: value for name, value in os.environ.items() if name not in gone}
    env |= {"PATH": path, "OPSLIB_HOME": str(short_home)}
    try:
        for line in block.splitlines():
            command, _, comment = line.partition(" #")
            expected = re.search(r"exit (\d+)", comment)
            done = subprocess.run(
                shlex.split(command), cwd=place, env=env, capture_output=True, text=True, check=False
            )
            said = f"{command}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == int(expected[1] if expected else 0), said
    finally:
        down = ["opslib", "sandbox", "down"]
        subprocess.run(down, cwd=place, env=env, capture_output=True, check=False)
    assert project_files() == before
