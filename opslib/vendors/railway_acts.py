"""What can be done with deployments at Railway, as literal acts. Nothing is sent."""

from __future__ import annotations

from opslib.acts import Request

ROLLBACK = "deploymentRollback"
DOCUMENTS = {
    ROLLBACK: "mutation deploymentRollback($id: String!) { deploymentRollback(id: $id) }",
}


def rollback(deployment: str) -> Request:
    """Start the image of an earlier deployment again, with the variables that it had, as a new one.

    Args:
        deployment: id of the earlier deployment.
    """
    body = {"operationName": ROLLBACK, "query": DOCUMENTS[ROLLBACK], "variables": {"id": deployment}}
    return Request("railway", "POST", "", {}, body)
