"""Evaluations in this process, one after the other: for debugging, and for data or stubs too small to share out."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome, failed
from nas.workers.safely import make_evaluator, run_safely

GRACE_SECONDS = 10.0


class InProcess:
    """One worker, which is the caller itself."""

    capacity = 1

    def __init__(self, spec: EvaluatorSpec) -> None:
        self._evaluator = make_evaluator(spec)
        self._queue: deque[Evaluation] = deque()

    def submit(self, evaluation: Evaluation) -> None:
        """Puts an evaluation off until the next `wait`."""
        self._queue.append(evaluation)

    def wait(self, seconds: float) -> list[Outcome]:
        """Runs the oldest evaluation to its end, or until it has overrun its time by the grace."""
        if not self._queue:
            return []
        evaluation = self._queue.popleft()
        try:
            with _alarm(evaluation.timeout + GRACE_SECONDS if evaluation.timeout else 0):
                return [run_safely(self._evaluator, evaluation)]
        except _Overdue:
            return [
                failed(
                    evaluation, TimedOutError(f"no answer {evaluation.timeout + GRACE_SECONDS:.0f} s after the start")
                )
            ]

    def close(self) -> None:
        """Drops what has not begun."""
        self._queue.clear()


class TimedOutError(Exception):
    """An evaluation did not mind its time."""


class _Overdue(BaseException):
    """Passes by everything in an evaluator that catches exceptions."""


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raises `_Overdue` in the block after so many seconds, 0 for never; without effect outside of the main thread."""
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Overdue

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is ring:  # else someone who stops the search has set a time of his own
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
