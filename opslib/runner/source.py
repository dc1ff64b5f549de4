"""Read a procedure's notebook and put its parameters in, as nbformat and papermill do, and quickly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from opslib.errors import ProcedureError
from opslib.runner.imports import bare, quick

_MEND = "open it in JupyterLab, or take its last version from git"
_FORMAT = (4, 5)

Notebook = Any


def read(path: Path) -> Notebook:
    """Return a notebook in the format that runs are kept in.

    Raises:
        ProcedureError: the file is not a notebook.
    """
    with quick():
        import nbformat
    try:
        text = path.read_text(encoding="utf-8")
        found = nbformat.reader.reads(text)
        if not _whole(found):
            found = nbformat.v4.upgrade(nbformat.reads(text, as_version=4))
            # Reading only logs what is wrong; a cell of a type that nobody knows would be passed over.
            nbformat.validate(found)
        return found
    except (OSError, ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ProcedureError(f"{path}: the notebook cannot be read: {why}", hint=_MEND) from error


def _whole(notebook: Notebook) -> bool:
    """Say whether there is nothing to mend: to check a whole notebook takes longer than to run a cell."""
    names = [cell.get("id") for cell in notebook.cells]
    known = (notebook.nbformat, notebook.nbformat_minor) == _FORMAT
    sound = all(_sound(cell) for cell in notebook.cells)
    return known and sound and None not in names and len(set(names)) == len(names)


def _sound(cell: Any) -> bool:
    """Say whether a cell has what runs rely on; of any other nbformat is to say what is wrong."""
    if not (isinstance(cell.get("source"), str) and isinstance(cell.get("metadata"), dict)):
        return False
    if cell.get("cell_type") == "code":
        return isinstance(cell.get("outputs"), list) and "execution_count" in cell
    return cell.get("cell_type") in ("markdown", "raw")


@cache
def _translator() -> Callable[[str, str, dict[str, Any]], str]:
    """Return what writes values as code, imported once."""
    with bare("papermill"):
        from papermill.translators import translate_parameters
    found: Callable[[str, str, dict[str, Any]], str] = translate_parameters
    return found


def inject(notebook: Notebook, given: Mapping[str, Any]) -> None:
    """Put values into a cell of their own, where papermill would, in its words.

    Args:
        notebook: changed in place.
        given: name -> typed value.
    """
    with quick():
        from nbformat import from_dict
        from nbformat.corpus.words import generate_corpus_id
    tags = [cell.metadata.get("tags", ()) for cell in notebook.cells]
    old = next((at for at, found in enumerate(tags) if "injected-parameters" in found), None)
    declared = next((at for at, found in enumerate(tags) if "parameters" in found), -1)
    cell = {
        "cell_type": "code",
        "id": generate_corpus_id(),
        "metadata": {"tags": ["injected-parameters"]},
        "source": _translator()("python3", "python", dict(given)),
        "outputs": [],
        "execution_count": None,
    }
    at = declared + 1 if old is None else old
    notebook.cells[at : at if old is None else at + 1] = [from_dict(cell)]
    notebook.metadata["papermill"]["parameters"] = dict(given)
