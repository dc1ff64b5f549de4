"""PostHog: the feature flags of one project. Reads only.

A flag is changed by its number, not by its key, which is why every row has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

import pandas as pd

from opslib.errors import Malformed
from opslib.vendors.base import VendorClient

FLAGS = (
    "id", "key", "name", "active", "rollout", "kind", "version", "updated", "changed_by", "filters",
)  # fmt: skip
_PAGE = 100
# Added to what PostHog shows, and no part of what it keeps: sent back, it would look like an edit.
_SHOWN_ONLY = ("cohort_name", "cohort_names")


class PostHog(VendorClient):
    """Reads one PostHog project.

    Args:
        access: setting `project` (its number); the token needs the scope feature_flag:read, and
            feature_flag:write for changes. A project in Europe has `api_url: https://eu.posthog.com`.
        resolver: name server to ask.
        on_call: receives a record of each request.
    """

    NAME: ClassVar[str] = "posthog"
    API: ClassVar[str] = "https://us.posthog.com"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "feature_flags": FLAGS,
        "probe": ("ok", "account", "detail"),
    }

    def feature_flags(self, search: str = "") -> pd.DataFrame:
        """Return the flags that are not deleted, the newest first.

        Args:
            search: only those with this in their key or name.

        Returns:
            Columns `FLAGS`: rollout is the share of those a flag's only condition fits, in percent
            (None where it has several conditions); kind is boolean, multivariate or remote config;
            updated is a time in UTC; filters are PostHog's own, with all conditions.

        Raises:
            SourceError: PostHog could not be asked.
        """
        first: dict[str, str | int] = {"limit": _PAGE, **({"search": search} if search else {})}
        pages = self._client.pages(self._path, first, _next_page)
        rows = [_row(entry) for page in pages for entry in _results(page) if not entry.get("deleted")]
        return pd.DataFrame(rows, columns=list(FLAGS)).astype({"rollout": "object"})

    def probe(self) -> pd.DataFrame:
        """Read one flag: proves token, project and scope at once."""
        count = len(_results(self._client.get(self._path, params={"limit": 1}).json))
        detail = "flags can be read" if count else "there is no flag"
        return pd.DataFrame([{"ok": True, "account": self._project, "detail": detail}])

    @property
    def _path(self) -> str:
        return f"/api/projects/{quote(self._project, safe='')}/feature_flags/"


def _next_page(page: Any) -> dict[str, str] | None:
    following = page.get("next") if isinstance(page, dict) else None
    if not following:
        return None
    return {name: values[0] for name, values in parse_qs(urlsplit(str(following)).query).items()}


def _results(page: Any) -> list[dict[str, Any]]:
    entries = page.get("results") if isinstance(page, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "id" in e for e in entries):
        raise Malformed("posthog answered without a list of flags")
    return entries


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    filters = _kept(entry.get("filters") or {})
    return {
        "id": int(entry["id"]),
        "key": str(entry.get("key", "")),
        "name": str(entry.get("name") or ""),
        "active": bool(entry.get("active")),
        "rollout": _rollout(filters),
        "kind": _kind(entry, filters),
        "version": int(entry.get("version") or 0),
        "updated": _moment(entry.get("updated_at") or entry.get("created_at")),
        "changed_by": _person(entry.get("last_modified_by") or entry.get("created_by")),
        "filters": filters,
    }


def _kept(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {**filters, "groups": [_without_shown(group) for group in filters.get("groups") or ()]}


def _without_shown(group: Mapping[str, Any]) -> dict[str, Any]:
    conditions = group.get("properties") or ()
    return {**group, "properties": [{k: v for k, v in c.items() if k not in _SHOWN_ONLY} for c in conditions]}


def _moment(text: Any) -> Any:
    return pd.to_datetime(text, utc=True)


def _rollout(filters: Mapping[str, Any]) -> float | int | None:
    groups = filters["groups"]
    if len(groups) != 1:
        return None if groups else 0
    share = groups[0].get("rollout_percentage")
    return 100 if share is None else share  # no share means everybody


def _kind(entry: Mapping[str, Any], filters: Mapping[str, Any]) -> str:
    if entry.get("is_remote_configuration"):
        return "remote config"
    return "multivariate" if (filters.get("multivariate") or {}).get("variants") else "boolean"


def _person(found: Any) -> str:
    return str(found.get("email") or found.get("first_name") or "") if isinstance(found, dict) else ""


CLIENT = PostHog
