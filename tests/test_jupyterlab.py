"""The same notebook, all cells run by a person's click in JupyterLab, reaches the same verdict."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from opslib.sandbox import control
from tests.acting import CANARY, Case, approve, ready
from tests.test_changes import STORM, VARIABLE

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RUN_MIME = "application/vnd.opslib.run+json"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture
def lab(sandbox: object, tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab on a copy of the notebooks, in the running sandbox."""
    for name in ("notebooks", "parameters"):
        shutil.copytree(ROOT / name, tmp_path / name)
    log = tmp_path / "lab.log"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port=0",
        "--allow-root",
    ]
    command += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=rehearsal"]
    env = os.environ | {
        "OPSLIB_INPUT": CANARY,
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
    }
    with log.open("w") as sink:
        server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=sink, stderr=sink)
    try:
        yield address(log)
    finally:
        server.terminate()
        server.wait(30)


def address(log: Path) -> str:
    """Return the server's address once it answers: it may write down a port before it listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for port in re.findall(r"http://127\.0\.0\.1:(\d+)/lab", log.read_text())[-1:]:
            url = f"http://127.0.0.1:{port}"
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/api/status?token=rehearsal", timeout=30).close()
                return url
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def run_all(lab: str, notebook: str, folder: Path) -> list[dict[str, Any]]:
    """Open a notebook, run all its cells by the menu, save it, and return its outputs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{lab}/lab/tree/{notebook}?token=rehearsal&reset")
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator("[data-command='runmenu:run-all']").click()
        page.locator("[data-mime-type='text/html'] .opslib-note:has-text('UTC, run')").wait_for(
            timeout=90_000
        )
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')", timeout=30_000)
        if shots := os.environ.get("OPSLIB_SCREENSHOTS"):
            page.screenshot(path=f"{shots}/{Path(notebook).stem}-{time.monotonic_ns()}.png")
        browser.close()
    saved = json.loads((folder / notebook).read_text(encoding="utf-8"))
    return [output for cell in saved["cells"] for output in cell.get("outputs", [])]


def result(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the typed result among the outputs."""
    found = [o["data"][RUN_MIME] for o in outputs if RUN_MIME in o.get("data", {})]
    assert found, outputs[-1]
    return dict(found[-1])


def test_run_all_cells_in_jupyterlab_reaches_the_verdict_of_opslib_run(lab: str, tmp_path: Path) -> None:
    """One notebook, three ways in: the terminal, papermill, and a person in the browser."""
    outputs = run_all(lab, "notebooks/diagnose/database-connections.ipynb", tmp_path)
    banner = "".join(outputs[0]["data"]["text/html"])
    assert "opslib-banner opslib-ok" in banner and "so far" not in banner, "the first banner is the final one"
    assert result(outputs)["verdict"] == "ok"


@pytest.mark.parametrize("case", (STORM, VARIABLE), ids=str)
def test_a_change_is_planned_and_applied_in_jupyterlab(
    lab: str, signer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    """The same plan, the same approval, the same rules; the parameters cell is edited in between."""
    ready(monkeypatch, tmp_path / "archive")
    control.break_(case.scenario, case.system)
    path = next((tmp_path / "notebooks").rglob(f"{case.procedure}.ipynb"))
    notebook = str(path.relative_to(tmp_path))
    edit(path, system=case.system, **case.parameters)
    planned = result(run_all(lab, notebook, tmp_path))
    assert planned["verdict"] == "critical" and planned["plan"], planned["findings"]
    approve(planned["plan"]["digest"])
    edit(path, dry_run=False, approval=planned["plan"]["digest"])
    applied = result(run_all(lab, notebook, tmp_path))
    assert applied["verdict"] == "ok", applied["findings"]
    assert {row["state"] for row in applied["changed"]} == {"done"}


def edit(path: Path, **values: Any) -> None:
    """Edit the parameters cell of a notebook, as a person does in the browser."""
    document = json.loads(path.read_text(encoding="utf-8"))
    cell = next(c for c in document["cells"] if "parameters" in c["metadata"].get("tags", []))
    lines = "".join(cell["source"]).splitlines()
    for name, value in values.items():
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{name}:"))
        declared, _, comment = lines[number].partition("  #")
        lines[number] = f"{declared.partition('=')[0]}= {value!r}  #{comment}"
    cell["source"] = "\n".join(lines)
    path.write_text(json.dumps(document), encoding="utf-8")
