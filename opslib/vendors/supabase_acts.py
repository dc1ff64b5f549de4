"""What can be changed at Supabase, as literal acts. Nothing here is sent."""

from __future__ import annotations

from opslib.acts import Request


def restore_to(project: str, moment: int) -> Request:
    """Put a project's database back to a moment, in place: it overwrites what is there.

    `/v1/projects/{ref}/restore`, by its name, is something else: it wakes a paused project.

    Args:
        project: the project's reference.
        moment: seconds since 1970.
    """
    path = f"/v1/projects/{project}/database/backups/restore-pitr"
    return Request("supabase", "POST", path, {}, {"recovery_time_target_unix": moment})
