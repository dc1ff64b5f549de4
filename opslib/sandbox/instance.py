"""One more instance of a rehearsed app, against another database; a drill starts it as a program.

PORT=8000 DATABASE_URL=postgresql://... python -m opslib.sandbox.instance SYSTEM
"""

from __future__ import annotations

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opslib import config, home
from opslib.backup.instance import HOST, PORT, Start
from opslib.config import overlay
from opslib.sandbox import hosting
from opslib.sandbox.apps import DEFAULT_POOL, App, Pool

_DATABASE = "DATABASE_URL"
_START_S = 30
_PREFIX = "OPSLIB_"


def start(system: str) -> Start:
    """Return how an instance of a system's app is started."""
    here = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    where = {
        "OPSLIB_PARAMETERS": str(config.find_parameters()),
        "OPSLIB_HOME": str(home.home()),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = (sys.executable, "-m", __name__, system)
    return Start(command, _DATABASE, _START_S, {**here, **where})


def serve(system: str, port: int, dsn: str) -> None:
    """Answer on a port until the process ends."""
    state = overlay.state()
    about = config.load_system(system)
    project = hosting.project(system, port, about.required_env)
    app = App(about, project, dsn, state.vendors if state else {}, Pool(dsn, *DEFAULT_POOL))

    async def answer(request: Request) -> Response:
        reply = await run_in_threadpool(app.reply, project.serving, request.url.path)
        return Response(reply.body, reply.status, media_type=reply.media_type)

    application = Starlette(routes=[Route("/{path:path}", answer)])
    uvicorn.run(application, host=HOST, port=port, log_level="critical", lifespan="off")


if __name__ == "__main__":
    serve(sys.argv[1], int(os.environ[PORT]), os.environ[_DATABASE])
