"""A run's folder: its files, its format version, its lock and its events; it knows no trial and no torch."""

from __future__ import annotations

import contextlib
import errno
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
# What a driver that died while it made a run can leave; `environment.json`, which makes it a run, is written last.
LEFTOVERS = {"lock", "config.toml", "study.journal", "weights"}
FREE_BYTES = 4 << 20


@dataclass(frozen=True)
class Place:
    """Where a study lies: in the database at `url`, by its name there, or in the run's folder where `url` is empty."""

    url: str = ""
    study: str = "nas"


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
    def events(self) -> Path:
        """What happened to the run as a whole, one JSON object a line."""
        return self.path / "events.jsonl"

    @property
    def weights(self) -> Path:
        """The folder of trained weights."""
        return self.path / "weights"

    def weights_of(self, key: str, replicate: int) -> Path:
        """The file of one trial's weights."""
        return self.weights / weights_name(key, replicate)

    def misplaced(self) -> list[Path]:
        """Folders and devices in the place of files, and the reverse."""
        files = [self.journal, self.config, self.environment, self.events, self.path / "lock"]
        wrong = [path for path in files if path.exists() and not path.is_file()]
        return wrong + ([self.weights] if self.weights.exists() and not self.weights.is_dir() else [])

    @classmethod
    def check_new(cls, path: Path) -> RunFolder:
        """Refuses a path at which something stands already, or whose parent cannot be written to; changes nothing.

        What a driver left that died while it made the run does not stand in the way.

        Raises:
            UserError: with what stands in the way.
        """
        folder = cls(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())) and not folder._half_made():
            raise UserError(f"the run folder {str(path)!r} exists: choose another --out, or go on with --resume {path}")
        parent = path
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(
                f"a run folder must lie where you may write, and {str(parent)!r} is not: choose another --out"
            )
        return folder

    def clear(self) -> None:
        """Removes what a driver left that died while it made the run; the lock stays."""
        assert not self.path.exists() or self._half_made()
        for path in (self.journal, self.config, *self.path.glob("*.part")):
            path.unlink(missing_ok=True)

    def _half_made(self) -> bool:
        names = {path.name for path in self.path.iterdir() if path.suffix != ".part"} if self.path.is_dir() else {""}
        return names <= LEFTOVERS and not (self.weights.is_dir() and any(self.weights.iterdir()))

    @staticmethod
    def existing(path: str | Path) -> Path:
        """The path of a folder that is there.

        Raises:
            UserError: it is not.
        """
        if not Path(path).is_dir():
            raise UserError(f"there is no run at {str(path)!r}: check the path")
        return Path(path)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run.

        Raises:
            UserError: the folder is no run, or of a format that this version does not read.
        """
        folder = cls(cls.existing(path))
        for wrong in folder.misplaced():
            raise UserError(f"{str(wrong)!r} is neither file nor folder as a search makes it: restore it from a backup")
        if not folder.environment.is_file():
            if folder._half_made() and folder.config.is_file():
                raise UserError(
                    f"the run {str(path)!r} was cut short while it was made, and nothing was evaluated: start it again with --out {path}"
                )
            raise UserError(f"{str(path)!r} is no run: it lacks environment.json; give a folder made by nas.search")
        version = folder.read_environment().get("format")
        if version != FORMAT:
            older = isinstance(version, int) and version < FORMAT
            raise UserError(
                f"{str(path)!r} is a run of format {str(version)[:20]} and this version reads format {FORMAT}: "
                + ("use the version that made it" if older else "use a newer version, or the one that made it")
            )
        if not folder.place().url and not folder.journal.is_file():
            raise UserError(
                f"{str(path)!r} lacks study.journal, which holds its trials: restore it from a backup, or start a new run"
            )
        return folder

    def place(self) -> Place:
        """Where the study lies.

        Raises:
            UserError: `environment.json` does not say it as a search writes it.
        """
        told = self.read_environment().get("storage", {})
        if not isinstance(told, dict) or not all(isinstance(told.get(name, ""), str) for name in ("url", "study")):
            raise UserError(
                f"storage in {str(self.environment)!r} must hold a URL and a name: restore it from a backup"
            )
        return Place(told.get("url", ""), told.get("study", "nas"))

    def read_environment(self) -> dict[str, Any]:
        """What `environment.json` holds.

        Raises:
            UserError: it is no JSON object.
        """
        try:
            data = json.loads(self.environment.read_text(encoding="utf-8"))
        except (ValueError, OSError, RecursionError) as error:
            raise UserError(f"{str(self.environment)!r} cannot be read ({error}): restore it from a backup") from None
        if not isinstance(data, dict):
            raise UserError(f"{str(self.environment)!r} must hold a JSON object: restore it from a backup")
        return data

    def log(self, event: str, **details: Any) -> None:
        """Appends one line to `events.jsonl`."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **details}, ensure_ascii=False)
        with open(self.events, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def check_space(self) -> None:
        """Notices a full disk before it costs a trial.

        Raises:
            OSError: the disk is full.
            UserError: the folder is gone.
        """
        try:
            status = os.statvfs(self.path)
        except FileNotFoundError:
            raise UserError(
                f"the run {str(self.path)!r} was removed while the search ran: put the folder back, then use --resume"
            ) from None
        if status.f_blocks and status.f_bavail * status.f_frsize < FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def is_driven(self) -> str:
        """Who drives the run now; the empty text for nobody."""
        try:
            with open(self.path / "lock", encoding="utf-8", errors="replace") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return (self.path / "lock").read_text(encoding="utf-8", errors="replace").strip()[:200] or "another process"
        except OSError:
            return ""
        return ""

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
            except OSError as error:
                raise UserError(
                    f"the run {str(self.path)!r} lies on a file system without locks ({error.strerror}), where two drivers could "
                    "spoil it: choose another place"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield


def weights_name(key: str, replicate: int) -> str:
    """The name of the file of one trial's weights."""
    return f"{key}.safetensors" if not replicate else f"{key}-{replicate}.safetensors"


def torn_tail(file: Path) -> tuple[int, bytes]:
    """Where the last whole line of a file ends, and what follows it, at most 1 MB of it."""
    with open(file, "rb") as lines:
        size = lines.seek(0, os.SEEK_END)
        position, whole = size, 0
        while position > 0:
            start = max(0, position - 65536)
            lines.seek(start)
            newline = lines.read(position - start).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            position = start
        lines.seek(whole)
        return whole, lines.read(1 << 20)


def repair_tail(file: Path, *, record: bytes = b'{"op_code":') -> int:
    """Cuts off a torn last line, which a crash in mid-write leaves; the number of bytes cut.

    Raises:
        UserError: what follows the last whole line is no beginning of a record (which starts with `record`), so it is not ours to cut.
    """
    whole, tail = torn_tail(file)
    if not tail:
        return 0
    if not (record.startswith(tail[: len(record)]) or not tail.strip(b"\0")):
        raise UserError(
            f"{str(file)!r} ends in something that no search wrote ({tail[:20]!r}): look at it with python -m nas.doctor {file.parent}"
        )
    with open(file, "rb+") as lines:
        size = lines.seek(0, os.SEEK_END)
        lines.truncate(whole)
        os.fsync(lines.fileno())
    return size - whole
