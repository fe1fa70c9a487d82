"""Starts real searches, kills them at seeded moments, and keeps the ledger of what must hold whatever the moment was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.archive import Archive
from nas.errors import UserError
from nas.front import as_json
from nas.problem import Trial

ROOT = Path(__file__).parents[2]
NOT_YET = ("there is no run", "is no run", "was cut short while it was made")


@dataclass
class Search:
    """One run and its options; `begin` starts a driver on it, anew or to resume."""

    run: Path
    config: dict[str, Any]
    stub: dict[str, Any]
    workers: int = 1
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def log(self) -> Path:
        """A line for each evaluation that began."""
        return self.run.with_name(f"{self.run.name}.log")

    def lines(self) -> list[str]:
        """What has begun so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def begin(self) -> subprocess.Popen[str]:
        """A driver in a process group of its own, with its imports done."""
        options = self.run.with_name(f"{self.run.name}.json")
        stub = {"log": str(self.log), **self.stub}
        options.write_text(json.dumps({"config": self.config, "stub": stub, "workers": self.workers}))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver", str(self.run), str(options)],
            cwd=ROOT,
            env={**os.environ, "NAS_FAULTS": self.mark, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == "ready\n", first + process.stdout.read()
        return process

    def finish(self) -> str:
        """Lets a driver run to its end; what it printed."""
        process = self.begin()
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
        return output

    def trials(self) -> list[Trial]:
        """All trials on disk; none while the run is not made yet."""
        try:
            return list(Archive.open(self.run).trials)
        except UserError as error:
            assert any(words in str(error) for words in NOT_YET), error
            return []

    def left_over(self, name: str = "") -> list[int]:
        """Processes that this search started and that still live, or those of them that are called so."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if f"NAS_FAULTS={self.mark}".encode() in (path / "environ").read_bytes():
                    if name in (path / "cmdline").read_text(errors="replace"):
                        found.append(int(path.name))
            except OSError:
                continue
        return found


class Reader(threading.Thread):
    """Reads the front again and again while the search runs and dies; any error but "not yet" is kept."""

    def __init__(self, run: Path) -> None:
        super().__init__(daemon=True)
        self._run_path, self._over = run, threading.Event()
        self.errors: list[BaseException] = []
        self.reads, self._most = 0, 0

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                trials = as_json(Archive.open(self._run_path), run=str(self._run_path))["trials"]
                assert trials["finished"] >= self._most, "a finished trial went away"
                self._most = trials["finished"]
                self.reads += 1
            except UserError as error:
                if not any(words in str(error) for words in NOT_YET):
                    self.errors.append(error)
            except BaseException as error:
                self.errors.append(error)

    def stop(self) -> None:
        """Ends the thread and raises what it met."""
        self._over.set()
        self.join()
        if self.errors:
            raise self.errors[0]


def kill_often(search: Search, *, kills: int, seed: int, spread: float, most: int) -> Counter[str]:
    """Kills the driver so often and lets the last one finish; checks the ledger at each step and at the end.

    A kill falls within `spread` seconds of the driver's start, or, every other time, within `most` evaluations and a few ms.
    """
    draw = random.Random(seed)
    ledger: Counter[str] = Counter()
    finished: dict[int, Trial] = {}
    reader = Reader(search.run)
    reader.start()
    for number in range(kills + 1):
        begun = len(search.lines())
        process = search.begin()
        if number < kills:
            _wait(search, process, draw, spread=spread, more=draw.randrange(1, most) if number % 2 else None)
            ledger["killed while working" if process.poll() is None else "killed too late"] += 1
            process.kill()
        output, _ = process.communicate(timeout=180)
        assert process.returncode in (-signal.SIGKILL, 0), output
        new = [int(line.split()[0]) for line in search.lines()[begun:]]
        again = set(new) & set(finished)
        assert not again, f"trials {sorted(again)} were finished and were evaluated again"
        ledger["evaluations"] += len(new)
        trials = search.trials()
        for trial in finished.values():
            assert trials[trial.number] == trial, "a finished trial changed"
        finished |= {trial.number: trial for trial in trials if trial.state != "running"}
    reader.stop()
    trials = search.trials()
    budget = search.config["budget"]
    states = Counter(trial.state for trial in trials)
    assert states["finished"] + states["pruned"] == budget and states["running"] == 0, states
    assert len({trial.key for trial in trials}) == len(trials), "an architecture is there twice"
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert not list(search.run.rglob("*.part"))
    for line in (search.run / "events.jsonl").read_text().splitlines():
        json.loads(line)
    ledger["evaluated twice, for a kill"] = ledger["evaluations"] - len(set(search.lines()))
    ledger["reads meanwhile"] = reader.reads
    return ledger + Counter(states)


def _wait(
    search: Search, process: subprocess.Popen[str], draw: random.Random, *, spread: float, more: int | None
) -> None:
    """Until a random moment, or until so many more evaluations have begun, and a little longer."""
    if more is None:
        time.sleep(draw.uniform(0, spread))
        return
    target = len(search.lines()) + more
    while len(search.lines()) < target and process.poll() is None:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.02))
