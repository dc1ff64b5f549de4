"""Make the README's table from the notebooks: `python docs/build.py` writes it, a test compares it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from opslib import catalog

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- catalogue: [^>]*-->\n)(.*?)(<!-- /catalogue -->)", re.DOTALL)


def table() -> str:
    """Return the Markdown table of procedures by symptom."""
    rows = ["| you see | run | it takes |", "|---|---|---|"]
    for procedure in catalog.load(ROOT / "notebooks").procedures:
        symptoms = "; ".join(procedure.symptoms[:3])
        link = f"[{procedure.id}]({procedure.path.relative_to(ROOT)})"
        rows.append(f"| {symptoms} | `opslib run {procedure.id}` ({link}) | {procedure.minutes} min |")
    return "\n".join(rows) + "\n"


def filled(text: str) -> str:
    """Return the README with its table brought up to date."""
    return BLOCK.sub(lambda block: block[1] + table() + block[3], text)


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README.name} is up to date\n")
