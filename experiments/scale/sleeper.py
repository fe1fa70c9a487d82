"""An evaluator that sleeps as long as its trial's seed says: what a real pool makes of uneven trials."""

from __future__ import annotations

import time

import numpy as np

from evaluators.evaluation import Evaluation, Outcome


class Sleeper:
    """Sleeps log-normal seconds, and tells how long it was at work."""

    def __init__(self, *, mean_seconds: float, sigma: float) -> None:
        self._mean, self._sigma = mean_seconds, sigma

    def run(self, evaluation: Evaluation) -> Outcome:
        """A score after a sleep."""
        start = time.monotonic()
        draw = np.random.default_rng(evaluation.seed)
        time.sleep(float(draw.lognormal(np.log(self._mean) - self._sigma**2 / 2, self._sigma)))
        seconds = {"total": time.monotonic() - start}
        return Outcome(evaluation.number, "train", {"accuracy": float(draw.random())}, {"seconds": seconds})
