"""Evaluations in this process, one after the other: for debugging, and for data or stubs too small to share out."""

from __future__ import annotations

from collections import deque

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome, failed


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
        evaluation = self._queue.popleft()
        try:
            return [checked(evaluation, self._evaluator.run(evaluation))]
        except Exception as error:
            return [failed(evaluation, error)]

    def close(self) -> None:
        """Drops what has not begun."""
        self._queue.clear()


def checked(evaluation: Evaluation, outcome: object) -> Outcome:
    """The outcome, or a failure where an evaluator returned something else or scores that are no numbers."""
    if not isinstance(outcome, Outcome):
        return failed(evaluation, TypeError(f"the evaluator returned {type(outcome).__name__} in place of an outcome"))
    for name, score in outcome.scores.items():
        if isinstance(score, bool) or not isinstance(score, int | float) or score != score or abs(score) == float("inf"):
            return failed(evaluation, ValueError(f"the evaluator returned {name} = {score!r}, which is no finite number"))
    return outcome
