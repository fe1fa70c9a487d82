"""The page of a run, served live on this machine while the search goes on; it knows no search and changes nothing.

Whoever knows the URL may look: it holds a random token. There are two paths, the page and its data, and GET alone.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nas.archive import Archive, open_study
from nas.errors import INTERRUPTED, UserError
from nas.report.beside import beside
from nas.report.page import policy, render, to_json
from nas.report.page_data import page_data
from nas.run import RunFolder
from nas.storage import readable

logger = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
SECONDS_PER_REQUEST = 10.0


class Source:
    """The page's data of a run, read again only when the run has changed; threads may share it."""

    def __init__(self, run: str) -> None:
        self._folder = RunFolder.open(run)
        self._study = open_study(run)
        self._url = self._folder.place().url
        self._run = run
        self._lock = threading.Lock()
        self._tag = ""
        self._data: dict[str, Any] = {}

    def latest(self) -> tuple[str, dict[str, Any]]:
        """A tag that changes with the data, and the data; the last ones that could be read while a line is being written."""
        with self._lock:
            with readable(self._url):
                tag = self._stamp()
            if tag != self._tag:
                try:
                    archive = Archive(self._study, space=None)
                    title = self._folder.path.resolve().name
                    more = beside(self._folder, archive)
                    data = page_data(archive, archive.front(), title=title, run=self._run, beside=more)
                except (KeyError, ValueError, TypeError, OSError) as error:
                    if not self._data:
                        raise
                    logger.debug("the run %s could not be read just now: %s", self._run, error)
                else:
                    self._tag, self._data = tag, {**data, "going": not self._ended()}
            return self._tag, self._data

    def _stamp(self) -> str:
        stamps = []
        for path in [self._events] if self._url else [self._folder.journal, self._events]:
            status = path.stat() if path.exists() else None
            stamps.append(f"{status.st_size:x}-{status.st_mtime_ns:x}" if status else "0")
        if self._url:  # a database tells no time of its last change, but its trials pass from state to state
            trials = self._study.get_trials(deepcopy=False)
            states = Counter(trial.state.name for trial in trials)
            stamps += [f"{count:x}" for _, count in sorted(states.items())]
        return "-".join(stamps)

    def _ended(self) -> bool:
        """Whether the last thing that the run's driver noted is its end."""
        if not self._events.exists():
            return False
        with open(self._events, "rb") as file:
            file.seek(max(0, self._events.stat().st_size - 4096))
            lines = file.read().splitlines()
        try:
            return bool(lines) and json.loads(lines[-1]).get("event") == "ended"
        except (ValueError, AttributeError):
            return False

    @property
    def _events(self) -> Path:
        return self._folder.path / "events.jsonl"


def make_server(source: Source, *, host: str = LOOPBACK, port: int = 0, token: str) -> ThreadingHTTPServer:
    """A server that is bound and not yet serving; port 0 takes any that is free.

    Raises:
        UserError: the address cannot be bound.
    """
    handler = type("Handler", (_Handler,), {"source": source, "token": token})
    try:
        server = ThreadingHTTPServer((host, port), handler)
    except OverflowError:
        raise UserError(f"--port must be from 0 to 65535, got {port}") from None
    except OSError as error:
        advice = {
            errno.EADDRINUSE: "it is taken: choose another --port, or leave it out",
            errno.EACCES: "it needs rights that you lack: choose a --port above 1023",
        }.get(error.errno or 0, f"{error.strerror or error}: give --host an address of this machine")
        raise UserError(f"cannot serve on {host}:{port}, {advice}") from None
    server.daemon_threads = True
    return server


def watch(run: str, *, host: str = LOOPBACK, port: int = 0, say: Callable[[str], None] = print) -> int:
    """Serves the run's page until Ctrl-C; returns the exit code.

    Raises:
        UserError: there is no run, or the address cannot be bound.
    """
    token = secrets.token_urlsafe(24)
    server = make_server(Source(run), host=host, port=port, token=token)
    try:
        if not host.startswith("127.") and host != "localhost":
            say(f"this page can be reached from other machines at {host}: whoever has the URL may read the run")
        say(f"http://{host}:{server.server_address[1]}/{token}/")
        say("serving; Ctrl-C stops, and the search goes on")
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        say("stopped")
    finally:
        server.server_close()
    return INTERRUPTED


class _Handler(BaseHTTPRequestHandler):
    """Answers GET of `/TOKEN/` and `/TOKEN/data.json`."""

    source: Source
    token: str
    timeout = SECONDS_PER_REQUEST
    server_version = "nas"
    sys_version = ""

    def do_GET(self) -> None:
        """The page or its data."""
        given, *rest = self.path.split("?", 1)[0].removeprefix("/").split("/")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            self._answer(HTTPStatus.FORBIDDEN, b"403: the URL needs the token that nas.front printed\n")
        elif rest == [""]:
            self._fresh(lambda data: render(data, live=True), "text/html; charset=utf-8")
        elif rest == ["data.json"]:
            self._fresh(to_json, "application/json")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"404: there is only the page here\n")

    def _refuse(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"405: this page can only be read\n", {"Allow": "GET"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def _fresh(self, write: Callable[[dict[str, Any]], str], kind: str) -> None:
        try:
            tag, data = self.source.latest()
        except Exception as error:
            logger.debug("no data", exc_info=True)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"503: the run cannot be read now ({error})\n".encode())
            return
        if kind == "application/json" and self.headers.get("If-None-Match") == f'"{tag}"':
            self._answer(HTTPStatus.NOT_MODIFIED, b"")
        else:
            self._answer(HTTPStatus.OK, write(data).encode(), {"ETag": f'"{tag}"', "Content-Type": kind})

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": f"{policy(live=True)}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        with contextlib.suppress(ConnectionError, TimeoutError):  # whoever asked has gone
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing on the terminal: the URL holds the token."""
