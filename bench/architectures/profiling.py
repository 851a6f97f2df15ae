"""Profiles of single requests, for the first experiment: nothing is installed without PROFILER."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from credit_risk.serving.settings import PROJECT

if TYPE_CHECKING:
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

SHOWN = 40  # functions of a profile by yappi
ONE_AT_A_TIME = threading.Lock()


@contextmanager
def profiled(profiler: str, path: Path, *, awaits: bool = False) -> Iterator[None]:
    """Profile what runs within, and write its pages: `path`, then the profiler's name.

    `awaits`: follow this task through its waits, instead of all that this thread does.
    """
    if profiler == "pyinstrument":
        from pyinstrument import Profiler

        sampler = Profiler(interval=0.0002, async_mode="enabled" if awaits else "disabled")
        with sampler:
            yield
        _write(Path(f"{path}.pyinstrument.html"), sampler.output_html())
        _write(Path(f"{path}.pyinstrument.txt"), sampler.output_text(unicode=True, color=False))
    else:
        import yappi

        yappi.clear_stats()
        yappi.set_clock_type("wall")
        yappi.start(builtins=False)
        try:
            yield
        finally:
            yappi.stop()
        lines = ["Wall-clock seconds: ttot in all, tsub without what a function calls, tavg for each call.", ""]
        lines.append("      ttot      tsub      tavg  ncall  name")
        for stat in list(yappi.get_func_stats().sort("totaltime", "desc"))[:SHOWN]:
            seconds = " ".join(f"{value:9.6f}" for value in (stat.ttot, stat.tsub, stat.tavg))
            lines.append(f" {seconds} {stat.ncall:6}  {stat.full_name}")
        _write(Path(f"{path}.yappi.txt"), "\n".join(lines) + "\n")


class ProfiledASGI:
    """Profiles each request of an application. The pages of the last one stay."""

    def __init__(self, app: ASGIApp, piece: str, *, awaits: bool) -> None:
        self._app, self._piece, self._awaits = app, piece, awaits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_prediction(scope.get("path", "")) or not ONE_AT_A_TIME.acquire(blocking=False):
            await self._app(scope, receive, send)
            return
        try:
            with profiled(os.environ["PROFILER"], page_of(self._piece), awaits=self._awaits):
                await self._app(scope, receive, send)
        finally:
            ONE_AT_A_TIME.release()


class ProfiledWSGI:
    """Profiles each request of an application. The pages of the last one stay."""

    def __init__(self, app: Any, piece: str) -> None:
        self._app, self._piece = app, piece

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not _is_prediction(environ["PATH_INFO"]) or not ONE_AT_A_TIME.acquire(blocking=False):
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        try:
            with profiled(os.environ["PROFILER"], page_of(self._piece)):
                return list(self._app(environ, start_response))
        finally:
            ONE_AT_A_TIME.release()


def profile_asgi(app: Starlette, piece: str) -> None:
    """Profile the requests of a FastAPI or Starlette application, if PROFILER says so."""
    if "PROFILER" in os.environ:
        app.add_middleware(ProfiledASGI, piece=piece, awaits=True)


def profile_wsgi(app: Flask, piece: str) -> None:
    """Profile the requests of a Flask application, if PROFILER says so."""
    if "PROFILER" in os.environ:
        app.wsgi_app = ProfiledWSGI(app.wsgi_app, piece)  # type: ignore[method-assign]


def _write(path: Path, page: str) -> None:
    """Write a page, without the folders of this machine."""
    named = {str(PROJECT), sys.prefix, sys.base_prefix, str(Path(sys.executable).parent), *filter(None, sys.path)}
    for folder in sorted(named | set(map(os.path.realpath, named)), key=len, reverse=True):
        page = page.replace(f"{folder}/", "").replace(f'"{folder}"', '"."')
    path.write_text(page)


def _is_prediction(path: str) -> bool:
    return path.endswith(("/predict", "/infer", "/classify"))


def page_of(piece: str) -> Path:
    """Say where the pages of a piece go."""
    return Path(os.environ["PROFILES"]) / piece
