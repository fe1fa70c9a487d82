"""Evaluators for tests: instant, deterministic, and able to fail in every way that a real one can."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluators.evaluation import Evaluation, Outcome, failed, write_atomically


class DivergedError(Exception):
    """As the training loop's."""


class OutOfMemoryError(RuntimeError):
    """As torch's."""


class Instant:
    """Scores drawn from the seed. `faults` maps a share of the trials (0 to 1, cumulative) to what goes wrong in them.

    `log` gets a line when an evaluation begins; `weights` writes a file of a few bytes, as a training would. The accuracy at a rung is
    that at the end.
    """

    def __init__(
        self,
        *,
        faults: Mapping[str, float] | None = None,
        seconds: float = 0.0,
        log: str = "",
        start_seconds: float = 0.0,
        fault_at_start: str = "",
        weights: bool = False,
        worker: bool = False,
    ) -> None:
        self._faults, self._seconds, self._log = dict(faults or {}), seconds, log
        self._weights, self._worker = weights, worker
        time.sleep(start_seconds)
        if fault_at_start == "die":
            os._exit(9)
        if fault_at_start:
            raise ValueError(fault_at_start)

    def run(self, evaluation: Evaluation) -> Any:
        if self._log:
            with open(self._log, "a") as file:
                job = f" {evaluation.after}-{evaluation.until}" if evaluation.after or evaluation.until else ""
                file.write(f"{evaluation.number} {evaluation.phase}{job}\n")
        time.sleep(self._seconds)
        draw = int.from_bytes(hashlib.sha256(str(evaluation.seed).encode()).digest()[:4], "big") / 2**32
        if evaluation.phase == "time":
            return Outcome(evaluation.number, "time", scores={"latency_ms": 1 + draw})
        for kind, share in self._faults.items():
            if draw < share:
                return self._fail(kind, evaluation)
        if self._weights and evaluation.weights:
            place = evaluation.checkpoint if evaluation.until else evaluation.weights
            write_atomically(place or "", empty_weights(str(evaluation.seed)))
        details: dict[str, Any] = {"seconds": {"total": 0.0}} | ({"worker": os.getpid()} if self._worker else {})
        return Outcome(evaluation.number, "train", scores={"accuracy": draw}, details=details)

    def _fail(self, kind: str, evaluation: Evaluation) -> Any:
        number = evaluation.number
        answers: dict[str, Any] = {
            "junk": {"accuracy": 1.0},
            "nan": Outcome(number, "train", scores={"accuracy": float("nan")}),
            "missing": Outcome(number, "train", scores={}),
            "other": Outcome(number + 1, "train", scores={"accuracy": 1.0}),
            "object": Outcome(number, "train", scores={"accuracy": 1.0}, details={"it": object()}),
            "kind": Outcome(number, "train", failure="gremlins", message="a failure of no kind"),
            "diverge": failed(evaluation, DivergedError("the loss became nan")),
            "memory": failed(evaluation, MemoryError("no memory")),
            "device_memory": failed(evaluation, OutOfMemoryError("CUDA out of memory")),
        }
        if kind in answers:
            return answers[kind]
        if kind == "raise":
            raise RuntimeError("a stub raised")
        if kind == "full":
            raise OSError(28, "No space left on device", str(Path(evaluation.weights or "weights")))
        if kind == "host_memory":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (1 << 33, resource.getrlimit(resource.RLIMIT_AS)[1]))
            bytearray(1 << 40)
        if kind == "eat":
            eaten = [bytearray(os.urandom(1 << 20) * 64) for _ in range(96)]  # 6 GB, unless somebody minds
            raise RuntimeError(f"nobody minded {len(eaten)} pieces")
        if kind == "exit":
            raise SystemExit(3)
        if kind == "hang":
            time.sleep(3600)
        os._exit(9)


class Rungs:
    """Leaves a state at a rung; the next job scores 0.5 where it finds the state, else 0."""

    def run(self, evaluation: Evaluation) -> Outcome:
        place = Path(evaluation.checkpoint or "")
        if evaluation.until:
            place.write_text("a state")
        found = evaluation.after and place.exists() and place.read_text() == "a state"
        return Outcome(evaluation.number, "train", scores={"accuracy": 0.5 if found else 0.0})


def empty_weights(text: str) -> bytes:
    """A safetensors file that holds no tensor and one note."""
    header = ('{"__metadata__":{"note":"%s"}}' % text).encode()  # noqa: UP031
    return len(header).to_bytes(8, "little") + header
