"""JupyterLab on the kernelspec `opslib`: a person's click runs the notebook on a fork of the zygote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opslib.kernels import client, spec
from tests.test_jupyterlab import address, lab, result, run_all
from tests.test_jupyterlab import pytestmark as browser

__all__ = ["address", "lab"]
pytestmark = [
    *browser,
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only"),
]
NOTEBOOK = "notebooks/monitor/health-check.ipynb"
LOOK = "import os\nprint('parent', os.getppid())"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernelspec where this Jupyter looks, and a zygote; before the server starts."""
    spec.install(str(tmp_path / "spec"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "spec" / "share" / "jupyter"))
    client.warm()
    yield


def test_a_notebook_of_the_spec_runs_in_jupyterlab_on_a_fork(lab: str, tmp_path: Path) -> None:
    """With the verdict that it has everywhere, and its plots."""
    path = tmp_path / NOTEBOOK
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["kernelspec"] = {"name": spec.NAME, "display_name": "warm", "language": "python"}
    look = {"cell_type": "code", "id": "look", "metadata": {}, "source": LOOK, "outputs": []}
    notebook["cells"].insert(1, {**look, "execution_count": None})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    outputs = run_all(lab, NOTEBOOK, tmp_path)
    # Of the one that is there now: it may have renewed itself since it was warmed.
    zygote = client.status()
    assert "".join(outputs[0]["text"]).split() == ["parent", str(zygote["pid"])]
    assert zygote["forks"] > 0
    assert result(outputs)["verdict"] == "ok"
    assert [output for output in outputs if "image/png" in output.get("data", {})]
