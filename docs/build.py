"""Make what the README shows from the project itself.

`python docs/build.py` writes the table of procedures (a test compares it);
`python docs/build.py RECORD` also takes the picture of a record's report with Chromium.
"""

from __future__ import annotations

import re
import shutil
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
        rows.append(f"| {symptoms} | `{procedure.command}` ({link}) | {procedure.minutes} min |")
    return "\n".join(rows) + "\n"


def filled(text: str) -> str:
    """Return the README with its table brought up to date."""
    return BLOCK.sub(lambda block: block[1] + table() + block[3], text)


def picture(record: Path) -> None:
    """Take the picture of a report's first screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 560}, device_scale_factor=1.5)
        page.goto((record / "run.html").resolve().as_uri())
        page.screenshot(path=ROOT / "docs" / "report.png")
        browser.close()


if __name__ == "__main__":
    if sys.argv[1:]:
        picture(Path(sys.argv[1]))
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README.name} is up to date\n")
