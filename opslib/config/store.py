"""`parameters/store.yml`: where in an S3 bucket the archive has its copy, and how that is reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from opslib.config.fields import Part, Reference, Text, Url, wrong
from opslib.config.source import read
from opslib.config.validate import validated

FILE = "store.yml"
SCHEME = "s3://"
_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/((?:[\w.=@+-]+/)*[\w.=@+-]+))?/?", re.ASCII)
_FORM = "must be s3://BUCKET/PREFIX, such as s3://acme-records/runbooks"


def bucket_and_prefix(text: str) -> tuple[str, str] | None:
    """Return bucket and prefix of `s3://bucket/prefix`; None where a text is no such address."""
    found = _PLACE.fullmatch(text)
    if not found or {".", ".."} & set(text.split("/")):
        return None
    return found[1], found[2] or ""


def _place(text: str) -> str:
    if not bucket_and_prefix(text):
        raise wrong(_FORM)
    return text.rstrip("/")


class ObjectLock(Part):
    """How long the store itself keeps each head of the log from being removed.

    Args:
        mode: `compliance`, nobody can shorten it; `governance`, whoever has a right of their own can.
        days: counted from the push.
    """

    mode: Literal["compliance", "governance"]
    days: Annotated[int, Field(strict=True, ge=1, le=36_500)]


Place = Annotated[Text, AfterValidator(_place)]


class Reached(Part):
    """How a store is reached.

    Args:
        endpoint: of the store; that of AWS when not given.
        region: of the bucket.
        key, secret, token: references to credentials; those of the usual AWS environment when not given.
    """

    endpoint: Url | None = None
    region: Text | None = None
    key: Reference | None = None
    secret: Reference | None = None
    token: Reference | None = None

    @model_validator(mode="after")
    def _both_halves(self) -> Self:
        if bool(self.key) != bool(self.secret) or (self.token and not self.key):
            raise wrong("`key` and `secret` belong together, and `token` to both")
        return self


class Store(Reached):
    """The file.

    Args:
        copy_to: where the copy is; `copy` in the file.
        object_lock: for the heads of the log, in a bucket that was made with Object Lock.
    """

    copy_to: Annotated[Place, Field(alias="copy")]
    object_lock: ObjectLock | None = None


class BackupBucket(Reached):
    """Where finished backups of a database are copied to.

    Args:
        place: such as s3://acme-backups/databases.
    """

    place: Place


def read_store(path: Path) -> Store:
    """Read and check the file.

    Raises:
        ConfigError: it cannot be read, or is wrong; the message names file, line and key.
    """
    return validated(Store, read(path))
