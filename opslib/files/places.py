"""Where a system's files are, and where their copies are, in one environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opslib.calls import Call
from opslib.config.fields import is_placeholder
from opslib.config.files import FOLDER, SUPABASE, FileBucket
from opslib.errors import NotNamed, ParameterError
from opslib.files.folder import Folder
from opslib.files.s3 import S3Bucket
from opslib.files.supabase import SupabaseBucket

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.files.place import Place

LIVE, COPY = "live", "copy"
Record = Callable[[Call], None] | None


def named(env: Environment, name: str) -> FileBucket:
    """Return a bucket that the system's file declares.

    Raises:
        ParameterError: it declares none of that name.
    """
    if name not in env.system.files:
        there = ", ".join(env.system.files) or "none"
        raise ParameterError(
            f"bucket: {env.system.name} declares no bucket {name!r}; there is: {there}",
            hint=f"see `files` in parameters/systems/{env.system.name}.yml",
        )
    return env.system.files[name]


def bucket(env: Environment, name: str) -> str:
    """Return what a declared bucket is called at its vendor; the sandbox makes up what nobody filled in."""
    given = named(env, name).bucket
    return name if env.copies is not None and is_placeholder(given) else given


def of(env: Environment, name: str, side: str, on_call: Record = None, *, hash_bytes: int = 0) -> Place:
    """Return one side of a declared bucket; nothing is asked of it yet.

    Args:
        env: where.
        name: of the bucket in the system's file.
        side: `live` or `copy`.
        on_call: receives a record of each request.
        hash_bytes: how many bytes of a copy in a folder may be read to tell files of the same size apart.

    Raises:
        NotNamed: the system's file does not say where that is.
        ParameterError: it declares no such bucket.
    """
    spec = named(env, name)
    if side == LIVE:
        return _at(env, spec.at, bucket(env, name), spec.prefix, on_call)
    copy = spec.copy_to
    if copy is None:
        raise NotNamed(f"the file names no copy of {name}", hint=f"add `copy:` to it under files.{name}")
    if env.copies is not None:
        return Folder(env.copies / env.system.name / name, hash_bytes)
    if copy.at == FOLDER:
        return Folder(Path(_filled(copy.folder, f"files.{name}.copy.folder")), hash_bytes)
    return _at(env, copy.at, copy.bucket, copy.prefix, on_call)


def _at(env: Environment, vendor: str, bucket: str, prefix: str, on_call: Record) -> Place:
    access = env.vendors.get(vendor)
    if access is None:
        raise NotNamed(f"{env.system.name} names no vendor {vendor} in its file")
    kept = _filled(bucket, "bucket")
    if vendor == SUPABASE:
        return SupabaseBucket(access, kept, prefix, resolver=env.resolver, on_call=on_call)
    return S3Bucket(access, kept, prefix, on_call=on_call)


def _filled(text: str, key: str) -> str:
    if is_placeholder(text):
        raise NotNamed(f"{key} was never filled in: {text}", hint="fill it in in the system's file")
    return text
