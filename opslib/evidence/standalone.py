"""The verifier as one file for people without opslib: Python's standard library is all that it needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

_OURS = ("__future__", "opslib.evidence", "opslib.keys.sshform")
_FOR_ONE = (
    "light", "plain", "layout", "parts", "merkle", "ed25519", "notes", "policy", "runners", "people",
    "envelopes", "forms", "events", "tiles", "proofs", "findings", "rotations", "lives", "records", "alone",
)  # fmt: skip
_FOR_MANY = (
    "../keys/sshform", "history", "retention", "complete", "vouched", "beside", "verifying", "population",
    "expected", "drawing", "manifest", "exported", "many",
)  # fmt: skip
_LIGHT = ("dataclasses", "typing")  # `light` stands in their place
_HEAD = '''#!/usr/bin/env python3
"""Verify records and the log of an opslib archive, offline. Python 3.11 or newer, nothing else.

    python3 verify_evidence.py FOLDER [--policy FILE] [--runner-keys FILE] [--people-keys FILE]
                                      [--checkpoint FILE] [--json]
"""

from __future__ import annotations

Any = Protocol = object  # no more than these two of `typing` is ever looked at

'''


_LATER = """# What one record needs nothing of: Python would have to understand it each time all the same.
_MORE = r'''
{more}
'''


def verify_many(*given: object) -> Report:
    exec(compile("from __future__ import annotations\\n" + _MORE, __file__, "exec"), globals())
    return verify_many(*given)"""


def standalone_verifier() -> str:
    """Return the source of `verify_evidence.py`: the verifying modules of this package, one after another."""
    one, many = _joined(_FOR_ONE), _joined(_FOR_MANY)
    return "\n\n\n".join([_HEAD + one, _LATER.format(more=many), _joined(["verifier"])]) + "\n"


def _joined(names: Iterable[str]) -> str:
    """Return the source of some modules, with what they all import in front."""
    imports: dict[str, set[str]] = {}
    sources = ((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in names)
    bodies = [_body(source, imports) for source in sources]
    for name in _LIGHT:
        imports.pop(name, None)
    return "\n\n\n".join(["\n".join(_imports(imports)), *bodies])


def _imports(imports: dict[str, set[str]]) -> Iterator[str]:
    for module, names in sorted(imports.items()):
        yield f"from {module} import {', '.join(sorted(names))}" if names else f"import {module}"


def _body(source: str, imports: dict[str, set[str]]) -> str:
    """Return a module without its imports, of which those from elsewhere are collected."""
    lines = source.split("\n")
    last = 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            if not module.startswith(_OURS):
                imports.setdefault(module, set()).update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            imports.update({alias.name: set() for alias in node.names})
        else:
            continue
        last = int(node.end_lineno or 0)
    return "\n".join(lines[last:]).strip("\n")
