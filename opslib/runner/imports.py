"""Import the notebook stack without the parts that cost most and are never used.

`jsonschema` takes every checker of a string format that it can find, and does without where there is
none. With JupyterLab in the same environment there are many, and one compiles grammars for a second;
no notebook has such a string. The package `papermill` is imported as a whole, with its clients for
foreign stores, whatever of it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib import util
from typing import Any

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


@cache
def lighten() -> None:
    """Have single outputs checked, and the dates of messages read, as they were, in a tenth of the time.

    nbformat compiles a program for whole notebooks as soon as it looks at a part of one, and then walks
    through the schema for the part; jupyter_client reads dates with a library that was written in Python.
    """
    from jupyter_client import jsonutil
    from nbformat import validator

    validator.validators["fastjsonschema", 4, 5, False] = _quick_validator()
    jsonutil._dateutil_parse = datetime.fromisoformat


def prepare() -> None:
    """Do ahead, once a process, what the first output would wait for."""
    from nbformat import v4

    lighten()
    v4.new_output("stream")


def _quick_validator() -> Any:
    """Return nbformat's validator, but that a sound output is known as such at once."""
    import fastjsonschema
    from nbformat import validator
    from nbformat.json_compat import JsonSchemaValidator

    schema = validator.get_validator(4, 5, name="jsonschema")._schema

    @cache
    def output() -> Callable[[Any], Any]:
        return fastjsonschema.compile({**schema, "$ref": "#/definitions/output"})

    class Quick(JsonSchemaValidator):  # type: ignore[misc]
        def iter_errors(self, data: Any, schema: Any = None) -> Any:
            if schema == {"$ref": f"#/definitions/{data.get('output_type')}"}:
                with suppress(fastjsonschema.JsonSchemaException):
                    output()(data)
                    return iter(())
            return super().iter_errors(data, schema)

    return Quick(schema)
