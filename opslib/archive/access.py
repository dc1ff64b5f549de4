"""How an S3 store is reached: address, region, credentials, and how long its answers are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from opslib.errors import UsageError

_PATIENCE = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
    "max_pool_connections": 32,
}


@dataclass(frozen=True)
class Access:
    """How a store is reached.

    Args:
        endpoint: its address; empty for that of AWS.
        region: of the bucket; empty for that of the usual AWS environment.
        key, secret, token: credentials; empty for those of the usual AWS environment.
    """

    endpoint: str = ""
    region: str = ""
    key: str = ""
    secret: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"Access({self.endpoint!r})"

    def files(self) -> Any:
        """Return what speaks to the store; nothing is asked of it yet.

        Raises:
            UsageError: the packages that this takes are not installed.
        """
        if find_spec("s3fs") is None:
            raise UsageError("the packages for S3 are not installed", hint="pip install 'opslib[s3]'")
        return _made(self)


@cache
def _made(access: Access) -> Any:
    """Return what speaks to a store; reading what it needs for that takes half a second."""
    from s3fs import S3FileSystem

    given = {
        "endpoint_url": access.endpoint, "key": access.key, "secret": access.secret, "token": access.token,
    }  # fmt: skip
    own = {"region_name": access.region} if access.region else {}
    known = {name: value for name, value in given.items() if value}
    # One request an object: more would first ask how large it is, also of versions that are hidden.
    more = {"max_concurrency": 1, "use_listings_cache": False, "skip_instance_cache": True}
    made = S3FileSystem(**known, client_kwargs=own, config_kwargs=_PATIENCE, **more)
    made.retries = 1  # botocore asks again already: five times as often, a store that is silent takes minutes
    return made
