"""The shape of the package: imports only downward, small modules, short functions, docstrings."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "opslib"
LONGEST_MODULE = 300

# A module may import modules of its own level or lower; `side` is the sandbox.
LEVELS: dict[str, int] = {
    "errors": 0, "verdict": 0, "home": 0, "ids": 0, "frames": 0, "masking": 0, "calls": 0, "acts": 0,
    "controls": 0,
    "config": 1, "archive": 1, "keys": 1,
    "http": 2, "dns": 2, "pg": 2, "backup": 2, "files": 2, "kernels": 2, "evidence": 2,
    "git": 2,
    "vendors": 3, "site": 3, "checks": 3,
    "show": 4, "gate": 4, "changes": 4,
    "run": 5, "catalog": 5, "metadata": 5, "parameters": 5, "runner": 5, "schedule": 5,
    "doctor": 5, "scaffold": 5, "trends": 5, "web": 5,
    "cli": 6, "__main__": 7, "demo": 7,
}  # fmt: skip
SANDBOX_MAY_IMPORT = 3
MAY_START_THE_SANDBOX = {"run", "runner", "cli", "demo", "doctor"}


def modules() -> list[Path]:
    """Return every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """Return the name of the first-level module or package that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the first-level opslib names that a module imports anywhere, lazily or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "opslib":
            rest = node.module.split(".")[1:]
            yield from [rest[0]] if rest else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("opslib.")]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield all functions of a module."""
    yield from (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of code of a function, without its docstring."""
    documented = ast.get_docstring(node, clean=False)
    doc = len(documented.splitlines()) if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - doc


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_level_or_below(path: Path) -> None:
    """An upward import would make the small package a knot."""
    here = unit(path)
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        if name.startswith("__version__") or name == here or name == "start":
            continue
        if here == "sandbox":
            assert LEVELS[name] <= SANDBOX_MAY_IMPORT, f"sandbox imports {name}"
        elif name == "sandbox":
            assert here in MAY_START_THE_SANDBOX, f"{here} imports the sandbox"
        elif here != "__init__":
            assert LEVELS[name] <= LEVELS[here], f"{here} (level {LEVELS[here]}) imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_is_small_enough_to_read_over_coffee(path: Path) -> None:
    """Three hundred lines is where a module has two subjects."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def test_functions_are_short() -> None:
    """Half of all functions fit in ten lines, nine of ten in forty."""
    lengths = [length(f) for p in modules() for f in functions(ast.parse(p.read_text(encoding="utf-8")))]
    assert statistics.median(lengths) <= 10
    assert statistics.quantiles(lengths, n=10)[-1] <= 40


def test_only_show_speaks_to_ipython() -> None:
    """Words and pictures are made in one place."""
    for path in modules():
        source = path.read_text(encoding="utf-8")
        if unit(path) != "show":
            assert "IPython.display" not in source, path


def test_every_test_is_a_sentence_with_a_docstring() -> None:
    """A reader learns what is promised without reading the code below it."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for function in functions(ast.parse(path.read_text(encoding="utf-8"))):
            if function.name.startswith("test_"):
                assert ast.get_docstring(function), f"{path.name}: {function.name}"
