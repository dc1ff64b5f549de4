"""Import the notebook stack without the parts that cost most and are never used.

`jsonschema` takes every checker of a string format that it can find, and does without where there is
none. With JupyterLab in the same environment there are many, and one compiles grammars for a second;
no notebook has such a string. The package `papermill` is imported as a whole, with its clients for
foreign stores, whatever of it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util

_FORMATS = (
    "fqdn", "isoduration", "rfc3339_validator", "rfc3986_validator", "rfc3987", "rfc3987_syntax",
    "uri_template", "webcolors",
)  # fmt: skip


@contextmanager
def quick() -> Iterator[None]:
    """Within this block, imports of the notebook stack leave the checkers of string formats out."""
    hidden = [name for name in _FORMATS if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def bare(package: str) -> Iterator[None]:
    """Within this block, modules of a package are imported without what the package itself imports.

    Nothing of it stays behind, so that whoever imports the package afterwards has all of it.
    """
    spec = None if package in sys.modules else util.find_spec(package)
    if spec is None:
        yield
        return
    sys.modules[package] = util.module_from_spec(spec)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def lighten() -> None:
    """Have single outputs checked against nbformat's schema without a program that is made from it first.

    nbformat compiles one for whole notebooks as soon as it looks at a part of one, for which it then
    does not use it: 40 ms.
    """
    from nbformat import validator

    light = validator.get_validator(4, 5, name="jsonschema")
    validator.validators.setdefault(("fastjsonschema", 4, 5, False), light)
