"""What makes a value worth searching for, and what of it would tell it to somebody."""

from __future__ import annotations

import re

MIN_LENGTH = 6
# Masking these would make results unreadable and protect nothing: anybody guesses them first.
_WORDS = """
    123456 1234567 12345678 123456789 admin123 changeme database default development enabled disabled
    example localhost monitor opslib password postgres postgresql preview production public readonly
    sandbox secret secrets staging supabase testing unknown username
"""
COMMON = frozenset(_WORDS.split())
_LONG = 16
_FOLDED = 8
_SQUEEZED = 8
_SQUEEZED_DIGITS = 12
_SHAPES = 6
_HUMPS = re.compile(r"[a-z][A-Z]")
_SIGNS = re.compile(r"[!$%^&*+~§€][^!$%^&*+~§€]*[a-zA-Z]|[a-zA-Z][^!$%^&*+~§€]*[!$%^&*+~§€]")


def maskable(value: str) -> bool:
    """Tell whether a value is long and rare enough to be searched for."""
    plain = value.strip()
    return len(plain) >= MIN_LENGTH and plain.casefold() not in COMMON and len(set(plain)) > 1


def telling(part: str) -> bool:
    """Tell whether a part of a secret looks drawn at random, so that nobody writes it by chance."""
    if len(set(part)) < _SHAPES:
        return False
    digits = any(c.isdigit() for c in part) and any(c.isalpha() for c in part)
    return digits or len(_HUMPS.findall(part)) > 1 or bool(_SIGNS.search(part))


def told_in_any_case(value: str) -> bool:
    """Tell whether a value is still the value when all of it is upper or lower case."""
    return len(value) >= _LONG or (len(value) >= _FOLDED and telling(value))


def told_in_pieces(value: str) -> bool:
    """Tell whether a value may be put together across blanks; columns of numbers would make short ones."""
    return len(value) >= (_SQUEEZED_DIGITS if value.isdigit() else _SQUEEZED)
