"""Figures are told as people say them."""

from __future__ import annotations

import pytest

from opslib.show import figures


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (2, "batches", "2 batches"),
        (1, "batches", "1 batch"),
        (1, "indexes", "1 index"),
        (1, "entries", "1 entry"),
        (1, "tables", "1 table"),
        (1, "bytes of the backup", "1 byte of the backup"),
        (1, "rows hanging on them", "1 row hanging on them"),
    ],
)
def test_one_thing_is_told_as_one(value: int, name: str, said: str) -> None:
    """Somebody reads it before they approve, and stumbles over `1 batche`."""
    assert figures.counted(value, name) == said
