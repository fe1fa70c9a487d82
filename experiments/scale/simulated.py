"""Workers that exist on paper: their evaluations take virtual seconds, while what the controller does takes the real ones."""

from __future__ import annotations

import hashlib
import heapq
import math
import time

import numpy as np

from evaluators.evaluation import Evaluation, Outcome


class Simulated:
    """`workers` workers on a clock that is the controller's real time, and leaps to the next outcome where it would wait.

    Trials take log-normal seconds with the given mean and σ. So a worker that waits for a slow controller is seen to wait.
    """

    def __init__(self, *, workers: int, mean_seconds: float, sigma: float, seed: int = 0) -> None:
        self.capacity = workers
        self._draw = np.random.default_rng(seed)
        self._mu, self._sigma = math.log(mean_seconds) - sigma**2 / 2, sigma
        self._under_way: list[tuple[float, int, Evaluation]] = []
        self._leaps, self._start = 0.0, time.perf_counter()
        self.last_start = 0.0
        self.at_work: list[tuple[float, float]] = []

    def now(self) -> float:
        """Virtual seconds since the start."""
        return time.perf_counter() - self._start + self._leaps

    def submit(self, evaluation: Evaluation) -> None:
        """Starts an evaluation now."""
        seconds = float(self._draw.lognormal(self._mu, self._sigma))
        self.last_start = self.now()
        heapq.heappush(self._under_way, (self.last_start + seconds, evaluation.number, evaluation))
        self.at_work.append((self.last_start, self.last_start + seconds))

    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended by now, after a leap to the first end if nothing has."""
        if not self._under_way:
            return []
        self._leaps += max(0.0, self._under_way[0][0] - self.now())
        outcomes = []
        while self._under_way and self._under_way[0][0] <= self.now():
            _, _, evaluation = heapq.heappop(self._under_way)
            draw = int.from_bytes(hashlib.sha256(str(evaluation.seed).encode()).digest()[:4], "big") / 2**32
            outcomes.append(Outcome(evaluation.number, "train", {"accuracy": draw}, {"seconds": {"total": 1.0}}))
        return outcomes

    def close(self) -> None:
        """Nothing to end."""
