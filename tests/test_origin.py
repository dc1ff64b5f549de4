"""What a record says of the checkout that its notebook came from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from opslib.runner import origin


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """Return a notebook in a checkout, not committed yet, beside another file that never is."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "other.ipynb").write_text("other")
    path = tmp_path / "small.ipynb"
    path.write_text("one")
    return path


def _commit(notebook: Path) -> str:
    _git(notebook.parent, "add", notebook.name)
    _git(notebook.parent, "commit", "-q", "-m", "a")
    return _git(notebook.parent, "rev-parse", "HEAD")


def test_a_committed_notebook_has_its_commit_and_is_clean(notebook: Path) -> None:
    """Files beside it do not count."""
    commit = _commit(notebook)
    assert origin.checkout(notebook) == (commit, False)


def test_a_notebook_that_was_edited_is_dirty(notebook: Path) -> None:
    """Staged or not: the commit does not hold what was run."""
    commit = _commit(notebook)
    notebook.write_text("two")
    assert origin.checkout(notebook) == (commit, True)
    _git(notebook.parent, "add", notebook.name)
    assert origin.checkout(notebook) == (commit, True)


def test_a_new_notebook_is_dirty(notebook: Path) -> None:
    """Before the first commit there is none to name."""
    assert origin.checkout(notebook) == (None, True)
    commit = _commit(notebook)
    new = notebook.with_name("new.ipynb")
    new.write_text("new")
    assert origin.checkout(new) == (commit, True)


def test_outside_of_git_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither clean nor dirty."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "small.ipynb").write_text("one")
    assert origin.checkout(tmp_path / "small.ipynb") == (None, None)
