"""Answers unknown paths, so that nothing behind makes a label of a metric out of each."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from credit_risk.contract.errors import NotFoundError
from credit_risk.serving.http.answering import answer_error


class KnownPaths:
    """An ASGI application in front of another. It lets these paths alone through, exactly as they are written."""

    def __init__(self, app: ASGIApp, paths: Container[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._paths:
            await answer_error(NotFoundError(), scope, send)
        else:
            await self._app(scope, receive, send)


def paths_of(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """List the paths of these routes, and of the files that they serve."""
    paths = set()
    for route in routes:
        if isinstance(route, Route):
            paths.add(route.path)
        elif isinstance(route, Mount) and isinstance(route.app, StaticFiles):
            folder = Path(str(route.app.directory))
            paths |= {f"{route.path}/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file()}
    return frozenset(paths)
