"""What is known of the systems: files under `parameters/`, read, checked and made typed.

Nothing here is imported before it is used, so that a command that needs no system pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opslib.config.environment import Door as Door
    from opslib.config.environment import Environment as Environment
    from opslib.config.environment import HealthEndpoint as HealthEndpoint
    from opslib.config.environment import VendorAccess as VendorAccess
    from opslib.config.limits import Limit as Limit
    from opslib.config.loader import find_parameters as find_parameters
    from opslib.config.loader import list_systems as list_systems
    from opslib.config.loader import load_system as load_system
    from opslib.config.loader import system_file as system_file
    from opslib.config.model import System as System
    from opslib.config.people import People as People
    from opslib.config.people import Person as Person
    from opslib.config.people import load_people as load_people
    from opslib.config.policy import Policy as Policy
    from opslib.config.policy import Rule as Rule
    from opslib.config.policy import load_policy as load_policy
    from opslib.config.retention import RetentionClass as RetentionClass
    from opslib.config.retention import load_retention as load_retention
    from opslib.config.routines import Routine as Routine
    from opslib.config.routines import RoutineItem as RoutineItem
    from opslib.config.schedule import Slot as Slot
    from opslib.config.schedule import load_schedule as load_schedule
    from opslib.config.schedule import schedule_file as schedule_file
    from opslib.config.secret import Secret as Secret
    from opslib.config.witnesses import Witness as Witness
    from opslib.config.witnesses import Witnesses as Witnesses
    from opslib.config.witnesses import load_witnesses as load_witnesses

_HOME = {
    "Door": "environment",
    "Environment": "environment",
    "HealthEndpoint": "environment",
    "Limit": "limits",
    "People": "people",
    "Person": "people",
    "Policy": "policy",
    "RetentionClass": "retention",
    "Routine": "routines",
    "RoutineItem": "routines",
    "Rule": "policy",
    "Secret": "secret",
    "Slot": "schedule",
    "System": "model",
    "VendorAccess": "environment",
    "Witness": "witnesses",
    "Witnesses": "witnesses",
    "find_parameters": "loader",
    "list_systems": "loader",
    "load_people": "people",
    "load_policy": "policy",
    "load_retention": "retention",
    "load_schedule": "schedule",
    "load_system": "loader",
    "load_witnesses": "witnesses",
    "schedule_file": "schedule",
    "system_file": "loader",
}

__all__ = [
    "Door",
    "Environment",
    "HealthEndpoint",
    "Limit",
    "People",
    "Person",
    "Policy",
    "RetentionClass",
    "Routine",
    "RoutineItem",
    "Rule",
    "Secret",
    "Slot",
    "System",
    "VendorAccess",
    "Witness",
    "Witnesses",
    "find_parameters",
    "list_systems",
    "load_people",
    "load_policy",
    "load_retention",
    "load_schedule",
    "load_system",
    "load_witnesses",
    "schedule_file",
    "system_file",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"opslib.config.{_HOME[name]}"), name)
    raise AttributeError(f"module 'opslib.config' has no attribute {name!r}")
