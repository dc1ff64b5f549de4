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
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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
    """Return the server's address once it answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/lab", log.read_text())
        if found:
            url = f"http://127.0.0.1:{found[1]}"
            with urllib.request.urlopen(f"{url}/api/status?token=rehearsal", timeout=30) as answer:
                assert answer.status == 200
            return url
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_run_all_cells_in_jupyterlab_reaches_the_verdict_of_opslib_run(lab: str, tmp_path: Path) -> None:
    """One notebook, three ways in: the terminal, papermill, and a person in the browser."""
    from playwright.sync_api import sync_playwright

    notebook = "notebooks/diagnose/database-connections.ipynb"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{lab}/lab/tree/{notebook}?token=rehearsal&reset")
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator("[data-command='runmenu:run-all']").click()
        page.locator(".opslib-note").wait_for(timeout=90_000)
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')", timeout=30_000)
        browser.close()
    saved = json.loads((tmp_path / notebook).read_text(encoding="utf-8"))
    outputs = [output for cell in saved["cells"] for output in cell.get("outputs", [])]
    banner = "".join(outputs[0]["data"]["text/html"])
    assert "opslib-banner opslib-ok" in banner and "so far" not in banner, "the first banner is the final one"
    results = [o["data"]["application/vnd.opslib.run+json"] for o in outputs if "opslib.run" in str(o)]
    assert results[-1]["verdict"] == "ok"
