"""A run's folder: its files, its format version, its lock and its events; it knows no trial and no torch."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError

FORMAT = 1


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run; `create` and `open` make one."""

    path: Path

    @property
    def journal(self) -> Path:
        """The Optuna study, append-only."""
        return self.path / "study.journal"

    @property
    def config(self) -> Path:
        """The resolved options, TOML."""
        return self.path / "config.toml"

    @property
    def environment(self) -> Path:
        """Versions, hardware, git revision, data checksum and what the run is about, JSON."""
        return self.path / "environment.json"

    @property
    def weights(self) -> Path:
        """The folder of trained weights."""
        return self.path / "weights"

    def weights_of(self, key: str, replicate: int) -> Path:
        """The file of one trial's weights."""
        return self.weights / (f"{key}.safetensors" if not replicate else f"{key}-{replicate}.safetensors")

    @classmethod
    def check_new(cls, path: Path) -> RunFolder:
        """Refuses a path at which something stands already, or whose parent cannot be written to; changes nothing.

        Raises:
            UserError: with what stands in the way.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"the run folder {str(path)!r} exists: choose another --out, or go on with --resume {path}")
        parent = path
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(
                f"a run folder must lie where you may write, and {str(parent)!r} is not: choose another --out"
            )
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run.

        Raises:
            UserError: the folder is no run, or of a format that this version does not read.
        """
        folder = cls(Path(path))
        if not folder.path.is_dir():
            raise UserError(f"there is no run at {str(path)!r}: check the path")
        if not folder.journal.is_file() or not folder.environment.is_file():
            raise UserError(
                f"{str(path)!r} is no run: it lacks study.journal or environment.json; give a folder made by nas.search"
            )
        version = folder.read_environment().get("format")
        if version != FORMAT:
            raise UserError(
                f"{str(path)!r} is a run of format {version!r} and this version reads format {FORMAT}: use the version that made it"
            )
        return folder

    def read_environment(self) -> dict[str, Any]:
        """What `environment.json` holds.

        Raises:
            UserError: it is no JSON object.
        """
        try:
            data = json.loads(self.environment.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise UserError(f"{str(self.environment)!r} cannot be read ({error}): restore it from a backup") from None
        if not isinstance(data, dict):
            raise UserError(f"{str(self.environment)!r} must hold a JSON object: restore it from a backup")
        return data

    def log(self, event: str, **details: Any) -> None:
        """Appends one line to `events.jsonl`."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **details}, ensure_ascii=False)
        with open(self.path / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for one driver. The kernel lets go of the lock when the driver dies, however it dies.

        Raises:
            UserError: another driver has it; named.
        """
        with open(self.path / "lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise UserError(
                    f"the run {str(self.path)!r} is being driven by {holder}: wait for it, or stop it"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield


def repair_tail(journal: Path) -> int:
    """Cuts off a torn last line, which a crash in mid-write leaves; the number of bytes cut."""
    with open(journal, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        position = size
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < size:
            file.truncate(position)
            os.fsync(file.fileno())
        return size - position
