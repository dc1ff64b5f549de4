"""The note that opslib leaves in the comment of a variable at Vercel, to know its own work again."""

from __future__ import annotations

import re

LONGEST = 500  # Vercel takes no longer comment
_OURS = re.compile(r"(?:^|; )opslib (back to )?(\S+)$")


def noted(comment: str, note: str) -> str:
    """Return a comment with our note at its end, in place of an earlier one of ours.

    Args:
        comment: what stands there.
        note: a mark, or `back to <time>` where the value of that time is set back.
    """
    own = f"opslib {note}"
    kept = _OURS.sub("", comment)[: LONGEST - len(own) - 2]
    return f"{kept}; {own}" if kept else own


def mark_in(comment: str) -> str:
    """Return the mark that our note has, or nothing."""
    found = _OURS.search(comment)
    return found[2] if found and not found[1] else ""


def back_to(comment: str) -> str:
    """Return the time of the value that was set back, as our note has it, or nothing."""
    found = _OURS.search(comment)
    return found[2] if found and found[1] else ""
