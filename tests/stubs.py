"""Evaluators for tests: instant, deterministic, and able to fail in every way that a real one can."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from typing import Any

from evaluators.evaluation import Evaluation, Outcome, failed


class DivergedError(Exception):
    """As the training loop's."""


class Instant:
    """Scores drawn from the seed. `faults` maps a share of the trials (0 to 1, cumulative) to what goes wrong in them."""

    def __init__(self, *, faults: Mapping[str, float] | None = None, seconds: float = 0.0, log: str = "") -> None:
        self._faults, self._seconds, self._log = dict(faults or {}), seconds, log

    def run(self, evaluation: Evaluation) -> Any:
        if self._log:
            with open(self._log, "a") as file:
                file.write(f"{evaluation.number} {evaluation.phase}\n")
        time.sleep(self._seconds)
        draw = int.from_bytes(hashlib.sha256(str(evaluation.seed).encode()).digest()[:4], "big") / 2**32
        if evaluation.phase == "time":
            return Outcome(evaluation.number, "time", scores={"latency_ms": 1 + draw})
        for kind, share in self._faults.items():
            if draw < share:
                return self._fail(kind, evaluation)
        return Outcome(evaluation.number, "train", scores={"accuracy": draw}, details={"seconds": {"total": 0.0}})

    def _fail(self, kind: str, evaluation: Evaluation) -> Any:
        if kind == "raise":
            raise RuntimeError("a stub raised")
        if kind == "diverge":
            return failed(evaluation, DivergedError("the loss became nan"))
        if kind == "memory":
            return failed(evaluation, MemoryError("no memory"))
        if kind == "junk":
            return {"accuracy": 1.0}
        if kind == "nan":
            return Outcome(evaluation.number, "train", scores={"accuracy": float("nan")})
        if kind == "missing":
            return Outcome(evaluation.number, "train", scores={})
        if kind == "hang":
            time.sleep(3600)
        os._exit(9)
