"""The same notebook, all cells run by a person's click in JupyterLab, reaches the same verdict."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from opslib.kernels import client, spec
from opslib.sandbox import control
from tests.acting import CANARY, Case, approve, planned, ready
from tests.conftest import Rehearsal
from tests.test_changes import STORM, VARIABLE

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "rehearsal"
LOOK = "import os\nprint('parent', os.getppid())"
RUN_MIME = "application/vnd.opslib.run+json"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab, and a project in it.

    Args:
        url: its address.
        root: the folder that it serves.
        folder: the project of a test in there.
    """

    url: str
    root: Path
    folder: Path

    def ask(self, path: str, method: str = "GET") -> Any:
        """Ask its API; return what it answers, None when that is empty."""
        url = f"{self.url}/api/{path}?token={TOKEN}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture(scope="module")
def server(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests of this module, with the kernelspec `opslib` where it looks."""
    root = tmp_path_factory.mktemp("lab")
    spec.install(str(root / "spec"))
    log = root / "lab.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0"]
    command += ["--allow-root", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"]
    env = os.environ | {
        "OPSLIB_HOME": str(rehearsal.home),
        "OPSLIB_INPUT": CANARY,
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_PATH": str(root / "spec" / "share" / "jupyter"),
    }
    env.pop("OPSLIB_ARCHIVE", None)  # records go beside the notebooks of each project
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=root, env=env, stdout=sink, stderr=sink)
    try:
        yield Lab(address(log), root, root)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def lab(server: Lab, sandbox: object) -> Iterator[Lab]:
    """A copy of the notebooks in JupyterLab, for the running sandbox; its kernels end with the test."""
    folder = Path(tempfile.mkdtemp(dir=server.root, prefix="project-"))
    for name in ("notebooks", "parameters"):
        shutil.copytree(ROOT / name, folder / name)
    yield replace(server, folder=folder)
    for session in server.ask("sessions"):
        server.ask(f"sessions/{session['id']}", "DELETE")


def address(log: Path) -> str:
    """Return the server's address once it answers: it may write down a port before it listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for port in re.findall(r"http://127\.0\.0\.1:(\d+)/lab", log.read_text())[-1:]:
            url = f"http://127.0.0.1:{port}"
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/api/status?token={TOKEN}", timeout=30).close()
                return url
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def run_all(lab: Lab, path: Path) -> list[dict[str, Any]]:
    """Open a notebook, run all its cells by the menu, save it, and return its outputs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its cache is kept, so that JupyterLab is fetched and compiled once.
        browser = playwright.chromium.launch_persistent_context(
            str(lab.root / "browser"),
            executable_path=CHROMIUM,
            args=QUIET,
            viewport={"width": 1280, "height": 900},
        )
        page = browser.new_page()
        page.goto(f"{lab.url}/lab/tree/{path.relative_to(lab.root)}?token={TOKEN}&reset")
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator("[data-command='runmenu:run-all']").click()
        page.locator("[data-mime-type='text/html'] .opslib-note:has-text('UTC, run')").wait_for(
            timeout=90_000
        )
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')", timeout=30_000)
        if shots := os.environ.get("OPSLIB_SCREENSHOTS"):
            page.screenshot(path=f"{shots}/{path.stem}-{time.monotonic_ns()}.png")
        browser.close()
    saved = json.loads(path.read_text(encoding="utf-8"))
    return [output for cell in saved["cells"] for output in cell.get("outputs", [])]


def result(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the typed result among the outputs."""
    found = [o["data"][RUN_MIME] for o in outputs if RUN_MIME in o.get("data", {})]
    assert found, outputs[-1]
    return dict(found[-1])


def test_a_change_is_planned_and_applied_in_jupyterlab(
    lab: Lab, signer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same plan, the same approval, the same rules; the parameters cell is edited in between."""
    ready(monkeypatch, lab.folder / "archive")
    control.break_(STORM.scenario, STORM.system)
    path = notebook_of(STORM, lab)
    edit(path, system=STORM.system, **STORM.parameters)
    found = result(run_all(lab, path))
    assert found["verdict"] == "critical" and found["plan"], found["findings"]
    approve(found["plan"]["digest"])
    applied(STORM, found["plan"]["digest"], lab)


def test_what_was_planned_at_the_terminal_is_applied_in_jupyterlab(
    lab: Lab, signer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same plan, whoever looks at it where; the secret value is asked for in both places."""
    ready(monkeypatch, lab.folder / "archive")
    control.break_(VARIABLE.scenario, VARIABLE.system)
    edit(notebook_of(VARIABLE, lab), system=VARIABLE.system, **VARIABLE.parameters)
    applied(VARIABLE, planned(VARIABLE, lab.folder / "archive")["plan"]["digest"], lab)


def notebook_of(case: Case, lab: Lab) -> Path:
    """Return the notebook of a case in the project that JupyterLab shows."""
    return next((lab.folder / "notebooks").rglob(f"{case.procedure}.ipynb"))


def applied(case: Case, digest: str, lab: Lab) -> None:
    """Apply an approved plan by a person's click: all is done, and the first thing shown is how it ended."""
    path = notebook_of(case, lab)
    edit(path, dry_run=False, approval=digest)
    outputs = run_all(lab, path)
    found = result(outputs)
    assert found["verdict"] == "ok", found["findings"]
    assert {row["state"] for row in found["changed"]} == {"done"}
    banner = "".join(outputs[0]["data"]["text/html"])
    assert "opslib-banner opslib-ok" in banner and "so far" not in banner, "the first banner is the final one"


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_a_notebook_of_the_spec_runs_in_jupyterlab_on_a_fork(lab: Lab) -> None:
    """With the verdict that it has everywhere, and its plots."""
    path = lab.folder / "notebooks/monitor/health-check.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["kernelspec"] = {"name": spec.NAME, "display_name": "warm", "language": "python"}
    look = {"cell_type": "code", "id": "look", "metadata": {}, "source": LOOK, "outputs": []}
    notebook["cells"].insert(1, {**look, "execution_count": None})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    client.warm()
    outputs = run_all(lab, path)
    # Of the one that is there now: it may have renewed itself since it was warmed.
    zygote = client.status()
    assert "".join(outputs[0]["text"]).split() == ["parent", str(zygote["pid"])]
    assert zygote["forks"] > 0
    assert result(outputs)["verdict"] == "ok"
    assert [output for output in outputs if "image/png" in output.get("data", {})]


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
