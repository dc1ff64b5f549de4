"""The verifier as one file for people without opslib: Python's standard library is all that it needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_OURS = ("__future__", "opslib.evidence", "opslib.keys.sshform")
_MODULES = (
    "light", "plain", "../keys/sshform", "parts", "merkle", "ed25519", "notes", "policy", "runners",
    "people", "envelopes", "forms", "events", "tiles", "proofs", "findings", "rotations", "history",
    "lives", "records", "retention", "complete", "vouched", "beside", "verifying", "population", "expected",
    "drawing", "manifest", "exported", "verifier",
)  # fmt: skip
_HEAD = '''#!/usr/bin/env python3
"""Verify records and the log of an opslib archive, offline. Python 3.11 or newer, nothing else.

    python3 verify_evidence.py FOLDER [--policy FILE] [--runner-keys FILE] [--people-keys FILE]
                                      [--checkpoint FILE] [--json]
"""

from __future__ import annotations

'''


def standalone_verifier() -> str:
    """Return the source of `verify_evidence.py`: the verifying modules of this package, one after another."""
    imports: dict[str, set[str]] = {}
    bodies = []
    for name in _MODULES:
        source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        bodies.append(_body(source, imports))
    imports.pop("dataclasses")  # `light` stands in its place
    return "\n\n\n".join([_HEAD + "\n".join(_imports(imports)), *bodies]) + "\n"


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
