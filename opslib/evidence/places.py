"""Where the copy of an archive is, how it is reached and its heads are locked: as named, or by the file."""

from __future__ import annotations

from datetime import datetime, timedelta

from opslib.archive.access import Access
from opslib.archive.bucket import Bucket, Lock
from opslib.config import Secret
from opslib.config.store import FILE, SCHEME, ObjectLock, Store, bucket_and_prefix, read_store
from opslib.errors import UsageError
from opslib.home import parameters_file

_EXAMPLE = f"{SCHEME}acme-records/runbooks"


def lock_of(held: ObjectLock, now: datetime) -> Lock:
    """Return the lock of what is put into a store now that holds things so."""
    return Lock(held.mode.upper(), now + timedelta(days=held.days))


def bucket_of(place: str | None = None) -> tuple[Bucket, ObjectLock | None]:
    """Return where the copy is, and how its heads are kept there.

    Args:
        place: such as `s3://bucket/prefix`; what the file says when not given.

    Raises:
        UsageError: no place is known, or it is none in a bucket; or the packages for S3 are missing.
        ConfigError: the file is wrong, or a credential cannot be had.
    """
    file = parameters_file(FILE)
    found = read_store(file) if file else None
    text = place or (found.copy_to if found else "")
    if not text:
        hint = f"name one, such as {_EXAMPLE}, or write `copy: {SCHEME}…` into parameters/{FILE}"
        raise UsageError("no place for the copy is known", hint=hint)
    parts = bucket_and_prefix(text)
    if not parts:
        raise UsageError(f"{text} is no place in a bucket", hint=f"such as {_EXAMPLE}")
    return Bucket(*parts, _access(found)), found.object_lock if found else None


def _access(found: Store | None) -> Access:
    if found is None:
        return Access()
    references = (found.key, found.secret, found.token)
    key, secret, token = (Secret.parse(one).reveal() if one else "" for one in references)
    return Access(found.endpoint or "", found.region or "", key, secret, token)
