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
_TELLING = 8
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


def distinct(value: str) -> bool:
    """Tell whether a value is known again in other letter case, and where blanks were put into it.

    A short word would be found in others, and a short number in every column of numbers.
    """
    return len(value) >= _LONG or (len(value) >= _TELLING and telling(value))
