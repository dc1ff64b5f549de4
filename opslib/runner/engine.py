"""The same execution for papermill: `papermill --engine opslib notebook.ipynb out.ipynb -p system kulti`.

papermill saves the notebook it holds, so the masked content is put back into that very object; until
then papermill is given no path to save to, and the masked notebook is written there instead.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from papermill.engines import Engine, NotebookExecutionManager

from opslib.archive.record import encode
from opslib.errors import OpsError
from opslib.masking import Masker
from opslib.runner import notebooks
from opslib.runner.client import Client


class OpslibEngine(Engine):  # type: ignore[misc]
    """papermill's engine `opslib`: outputs bounded and masked before anything is written."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any
    ) -> Any:
        """Execute a notebook as papermill's own engine does, masked."""
        manager = NotebookExecutionManager(nb, output_path=None, progress_bar=False)
        manager.notebook_start()
        cls._run(manager, kernel_name, output_path, options)
        manager.notebook_complete()
        return manager.nb

    @classmethod
    def _run(cls, manager: Any, kernel_name: str, output_path: str | None, options: dict[str, Any]) -> None:
        notebook = manager.nb
        masker = Masker(_secrets(notebook.metadata.papermill.get("parameters", {})))

        def save() -> None:
            if output_path:
                Path(output_path).write_bytes(encode(notebooks.masked(notebook, masker)))

        client = Client(
            notebook, save, masker, timeout=options.get("execution_timeout"), kernel_name=kernel_name
        )
        client.startup_timeout = options.get("start_timeout") or 60
        ending = asyncio.run(client.perform(env=os.environ, cwd=Path.cwd(), run_timeout_s=None))
        masked = notebooks.masked(notebook, masker)
        manager.nb = type(notebook)(_nodes(masked))
        manager.nb.metadata.papermill["exception"] = True if ending.cause else None
        if ending.cause not in ("", "procedure-broke", "parameter-refused"):
            raise RuntimeError(masker.mask(ending.text))


def _secrets(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the secrets of the environment that the parameters name; none if they name none."""
    from opslib import config
    from opslib.runner.secrets import secret_values

    try:
        system = config.load_system(str(parameters.get("system", "")))
        return secret_values(system.environment(str(parameters.get("environment", "sandbox"))))
    except OpsError:
        return {}


def _nodes(plain: dict[str, Any]) -> Any:
    from nbformat import from_dict

    return from_dict(plain)
