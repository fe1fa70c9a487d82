"""Where a run's study lies: a journal file in the run's folder, or a database named by a URL; it knows no trial.

The journal differs from Optuna's own backend in four ways. It is locked by the kernel (`flock`), which lets go when a driver dies. It is
never made anew, so that a folder that was removed under a search is noticed. A write that fails half-way is taken back. And the search
does not wait for the disk: what is written outlives the driver at once, and a power cut when the disk has followed, a moment later.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import UserError
from nas.run import RunFolder

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

LOCK_SECONDS = 30.0


def open_storage(folder: RunFolder, *, url: str = "") -> BaseStorage:
    """The storage of a run: the database at `url`, else the journal in its folder, which must exist.

    Raises:
        UserError: the database cannot be reached, or its driver is not installed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return _database(url) if url else optuna.storages.JournalStorage(_journal(folder.journal))


def public(url: str) -> str:
    """The URL without its password, which is never written down."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    return f"{scheme}{separator}{user.split(':')[0]}{at}{host}{slash}{path}" if at else url


@contextmanager
def readable(url: str) -> Iterator[None]:
    """Turns what a database says when it cannot be used into one sentence.

    Raises:
        UserError: in place of the library's errors.
    """
    if not url:
        yield
        return
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error if isinstance(error, StorageInternalError) else error
        reason = " ".join(str(cause).replace(url, public(url)).split())[:300]
        raise UserError(
            f"the database {public(url)!r} cannot be used ({reason}): check that it runs, its address, and the password "
            "(in PGPASSWORD or ~/.pgpass), then go on with --resume; nothing finished is lost"
        ) from error


def settle(path: Path) -> None:
    """Waits until the disk holds what was written to a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _database(url: str) -> BaseStorage:
    import optuna

    try:
        with readable(url):
            # A connection that was cut while a long trial ran is opened again.
            storage = optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
            weakref.finalize(storage, storage.engine.dispose)
            return storage
    except (ImportError, ValueError) as error:
        raise UserError(
            f"--storage must be a database URL as postgresql+psycopg://USER@HOST/NAME, got {public(url)!r} ({error}): "
            "for PostgreSQL install the extra, pip install 'nas[postgres]'"
        ) from error


def _journal(path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        """Optuna's journal file, written with care."""

        _size = 0

        def __init__(self) -> None:
            super().__init__(str(path))
            self._disk = Follower(path)

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
            with _opened(path) as descriptor:
                size = os.fstat(descriptor).st_size
                self._disk.check()
                if size < self._size:
                    raise UserError(f"the study {str(path)!r} was cut under the search: put it back, then use --resume")
                try:
                    _write(descriptor, content)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
                self._size = size + len(content)
                self._disk.follow()

    if not path.exists():
        raise UserError(f"the study {str(path)!r} is missing: restore it from a backup")
    return Journal()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The journal, open for appending and locked; both end with the block."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        raise UserError(
            f"the study {str(path)!r} was removed while the search ran, so nothing can be recorded: put the folder back, then use --resume"
        ) from None
    try:
        end = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UserError(
                        f"the study {str(path)!r} has been locked by another process for {LOCK_SECONDS:.0f} s: "
                        f"find it with fuser {path}, end it, then use --resume"
                    ) from None
                time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


class Follower:
    """Has the disk follow what was written to a file, in a thread of its own, as fast as the disk can."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._behind = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def follow(self) -> None:
        """The file has grown."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
            self._thread.start()
        self._behind.set()

    def check(self) -> None:
        """Raises what the disk has answered, if that was an error."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            self._behind.wait()
            self._behind.clear()
            try:
                settle(self._path)
            except FileNotFoundError:
                continue  # who writes next will say it
            except OSError as error:
                self._error = error
