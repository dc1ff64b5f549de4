"""The small types of which every part of a system's file is made."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from opslib.config.secret import EXAMPLES, is_reference

_URL_TEXT = re.compile(r"[^\s{}\"'#]+")
PLACEHOLDER = re.compile(r"\[[A-Za-z][^\]]*\]")


class Part(BaseModel):
    """One part of a file: cannot be changed once read, and knows all of its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def wrong(what: str) -> PydanticCustomError:
    """Return the error of a validator, in our own words and without the value."""
    return PydanticCustomError("opslib", "{what}", {"what": what})


def _reference(text: str) -> str:
    if not is_reference(text):
        raise wrong(f"a plain value stands where a reference to a secret is needed: write {EXAMPLES}")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not _URL_TEXT.fullmatch(text):
        raise wrong("must be an address such as https://example.com")
    if parts.username or parts.password:
        raise wrong("an address must not hold a user name or password: refer to it as a secret")
    return text.rstrip("/")


def _path(text: str) -> str:
    if not re.fullmatch(r"/[^\s{}\[\],#\"']*", text):
        raise wrong("must be a path that begins with / (the environment's base_url comes before it)")
    return text


def _words(value: Any) -> Any:
    """Let one value stand for a list of one, and spell JSON's values as text."""
    given = value if isinstance(value, list) else [value]
    return [{True: "true", False: "false"}.get(v, v) if isinstance(v, bool) else _number(v) for v in given]


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Reference = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_url)]
UrlPath = Annotated[str, AfterValidator(_path)]
Accepted = Annotated[list[str], BeforeValidator(_words)]
Codes = Annotated[tuple[Annotated[int, Field(strict=True, ge=100, le=599)], ...], BeforeValidator(_listed)]
Scalar = Annotated[bool, Field(strict=True)] | Annotated[int, Field(strict=True)] | Annotated[
    float, Field(strict=True)
] | str  # fmt: skip
SeverityName = Literal["P0", "P1", "P2", "P3"]
StatusFormat = Literal["statuspage", "betterstack", "incident.io", "none"]


def is_placeholder(text: str) -> bool:
    """Tell whether a value, or a part of it, was never filled in, such as `[Add contact]`."""
    return PLACEHOLDER.search(text) is not None
