"""Old rows are moved or deleted batch by batch: none lost, none doubled, whoever works and whatever is killed."""

from __future__ import annotations

