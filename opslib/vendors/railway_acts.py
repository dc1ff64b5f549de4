"""What can be done with deployments at Railway, as literal acts. Nothing is sent."""

from __future__ import annotations

from opslib.acts import Request

DOCUMENTS = {
    "deploymentRollback": "mutation deploymentRollback($id: String!) { deploymentRollback(id: $id) }",
    "deploymentRedeploy": "mutation deploymentRedeploy($id: String!) { deploymentRedeploy(id: $id) { id } }",
    "deploymentRestart": "mutation deploymentRestart($id: String!) { deploymentRestart(id: $id) }",
}


def rollback(deployment: str) -> Request:
    """Start the image of an earlier deployment again, with the variables that it had, as a new one.

    Args:
        deployment: id of the earlier deployment.
    """
    return _of("deploymentRollback", deployment)


def redeploy(deployment: str) -> Request:
    """Start the code of a deployment again, with the variables as they are then."""
    return _of("deploymentRedeploy", deployment)


def restart(deployment: str) -> Request:
    """Restart the processes of a deployment; code and variables stay."""
    return _of("deploymentRestart", deployment)


def _of(operation: str, deployment: str) -> Request:
    body = {
        "operationName": operation,
        "query": DOCUMENTS[operation],
        "variables": {"id": deployment},
    }
    return Request("railway", "POST", "", {}, body)
