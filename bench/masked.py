"""A notebook as large as they come, for the masker to look through: logs, tables, a drawing, a picture."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

_WORDS = ("pool", "slot", "session", "waiting", "blocked", "query", "index", "production", "timeout", "retry")
SECRETS = 20
_CODE = {"cell_type": "code", "source": "ops.findings()", "metadata": {}}


def secrets() -> dict[str, str]:
    """Return as many values as a system has secrets."""
    chance = random.Random(4)
    return {f"secret {number}": base64.b64encode(chance.randbytes(24)).decode() for number in range(SECRETS)}


def notebook(characters: int) -> dict[str, Any]:
    """Return a notebook of about so many characters, in which no secret is."""
    chance = random.Random(3)
    cells: list[dict[str, Any]] = []
    while sum(len(text) for cell in cells for text in _texts(cell)) < characters:
        cells.append({**_CODE, "outputs": _outputs(chance)})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def _outputs(chance: random.Random) -> list[dict[str, Any]]:
    table = {"text/html": "".join(_rows(chance)), "text/plain": "".join(_log(chance, 20))}
    picture = {"image/png": base64.b64encode(chance.randbytes(8_000)).decode()}
    drawing = {"image/svg+xml": "".join(_paths(chance))}
    return [
        {"output_type": "stream", "name": "stdout", "text": "".join(_log(chance, 60))},
        *({"output_type": "display_data", "metadata": {}, "data": one} for one in (table, picture, drawing)),
    ]


def _log(chance: random.Random, lines: int) -> Iterator[str]:
    for _ in range(lines):
        words = " ".join(chance.choices(_WORDS, k=4))
        took = f"{chance.random() * 100:.2f} ms"
        yield f"2026-11-21T03:{chance.randint(10, 59)}:00.123Z INFO {words} took {took}\n"


def _rows(chance: random.Random) -> Iterator[str]:
    for number in range(40):
        text = f"select * from orders where id &lt; {number} and state = &#x27;{chance.choice(_WORDS)}&#x27;"
        yield f"<tr><th>{number}</th><td>{chance.randint(1, 99_999)}</td><td>{text}</td></tr>\n"


def _paths(chance: random.Random) -> Iterator[str]:
    for _ in range(40):
        x, y = chance.random() * 500, chance.random() * 300
        yield f'<path d="M {x:.6f} {y:.6f} L {y:.6f} {x:.6f}" style="fill: none; stroke: #1f77b4"/>\n'


def _texts(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell["outputs"]:
        yield from (output["text"],) if "text" in output else output["data"].values()
