"""Evaluations in this process, one after the other: for debugging, and for data or stubs too small to share out."""

from __future__ import annotations

import math
from collections import deque

from evaluators.evaluation import Evaluation, Evaluator, EvaluatorSpec, Outcome, failed


class InProcess:
    """One worker, which is the caller itself."""

    capacity = 1

    def __init__(self, spec: EvaluatorSpec) -> None:
        self._evaluator = spec.make()
        self._queue: deque[Evaluation] = deque()

    def submit(self, evaluation: Evaluation) -> None:
        """Puts an evaluation off until the next `wait`."""
        self._queue.append(evaluation)

    def wait(self, seconds: float) -> list[Outcome]:
        """Runs the oldest evaluation to its end."""
        if not self._queue:
            return []
        return [run_safely(self._evaluator, self._queue.popleft())]

    def close(self) -> None:
        """Drops what has not begun."""
        self._queue.clear()


def run_safely(evaluator: Evaluator, evaluation: Evaluation) -> Outcome:
    """The evaluator's outcome; a failure where it raised, returned something else, or gave scores that are no numbers."""
    try:
        outcome: object = evaluator.run(evaluation)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"the evaluator returned {type(outcome).__name__} in place of an outcome")
        for name, score in outcome.scores.items():
            if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
                raise ValueError(f"the evaluator returned {name} = {score!r}, which is no finite number")
        return outcome
    except Exception as error:
        return failed(evaluation, error)
