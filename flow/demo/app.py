"""The web application: one page, an image in, its answer out."""

import secrets
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from .jobs import Full, Jobs

__all__ = ["MAX_BYTES", "Service", "application"]

MAX_BYTES = 16 << 20
"""Largest picture that is taken."""

_STATIC = Path(__file__).with_name("static")
_FILES = {"/": "demo.html", "/demo.css": "demo.css", "/demo.js": "demo.js"}
_RATE, _SECONDS = 20, 10  # images that one client may send in so many seconds


class Service(Protocol):
    """What the application asks: it knows nothing of models and machines.

    Attributes
    ----------
    about : dict
        What the page shows of the project.
    jobs : Jobs
    """

    about: dict
    jobs: Jobs

    def state(self) -> dict:
        """Return ``ready`` and, while it is not, ``text``: what is done first, or why it will never be."""

    def cycles(self) -> int:
        """Return the cycles that are done of the image that is being run."""

    def prepare(self, data: bytes, *, drawn: bool):
        """Return a function that answers for a picture file; raise :exc:`ValueError` if it is none."""


def application(service: Service, token: str | None = None) -> Starlette:
    """Return the application.

    Parameters
    ----------
    service : Service
    token : str, optional
        What asks for anything but the page itself must carry it, as ``?token=…`` or in the header ``X-Token``; without
        it, the answer is 403.
    """
    recent: dict[str, deque] = {}

    def allowed(request: Request) -> bool:
        said = request.query_params.get("token") or request.headers.get("x-token") or ""
        return token is None or secrets.compare_digest(said.encode(), token.encode())

    def too_often(client: str) -> bool:
        now, times = time.monotonic(), recent.setdefault(client, deque())
        while times and now - times[0] > _SECONDS:
            times.popleft()
        if len(times) >= _RATE:
            return True
        times.append(now)
        if len(recent) > 1000:
            recent.clear()
        return False

    async def file(request: Request) -> Response:
        return FileResponse(_STATIC / _FILES[request.url.path], headers={
            "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:", "Cache-Control": "no-store"})

    async def about(request: Request) -> Response:
        return JSONResponse(service.about | service.state())

    async def run(request: Request) -> Response:
        if too_often(request.client.host if request.client else ""):
            return _error(429, f"at most {_RATE} images in {_SECONDS} s; wait a little")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                return _error(413, f"a picture may have at most {MAX_BYTES >> 20} MB")
        try:
            work = await run_in_threadpool(service.prepare, bytes(body), drawn="drawn" in request.query_params)
            job = service.jobs.add(work)
        except ValueError as error:
            return _error(400, str(error))
        except Full as error:
            return _error(429, f"{error}; try again in a moment")
        return JSONResponse({"job": job.number}, 202)

    async def job(request: Request) -> Response:
        found = service.jobs.find(request.path_params["number"])
        if found is None:
            return _error(404, "there is no such image, or no more")
        if found.error is not None:
            return _error(500, found.error)
        if found.answer is not None:
            return JSONResponse({"answer": found.answer})
        cycles = service.cycles() if found.running else 0
        return JSONResponse({"place": service.jobs.place(found), "running": found.running, "cycles": cycles})

    def guarded(endpoint):
        async def answer(request: Request) -> Response:
            return await endpoint(request) if allowed(request) else _error(403, "the address needs its ?token=…")

        return answer

    return Starlette(routes=[
        *(Route(path, file) for path in _FILES), Route("/about", guarded(about)),
        Route("/run", guarded(run), methods=["POST"]), Route("/job/{number:int}", guarded(job)),
    ])


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
