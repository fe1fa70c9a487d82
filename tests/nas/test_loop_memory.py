"""A trial that lacked memory beside others is tried once more, alone; then its failure is recorded."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from evaluators.evaluation import Evaluation, Outcome
from tests.nas.test_loop import make_loop


class Crowd:
    """Three workers; `hungry` trials lack memory beside others, `hopeless` ones always."""

    capacity = 3

    def __init__(self, hungry: set[int], hopeless: set[int]) -> None:
        self._hungry, self._hopeless = hungry, hopeless
        self._queue: deque[Evaluation] = deque()
        self.alone: list[int] = []

    def submit(self, evaluation: Evaluation) -> None:
        if evaluation.alone:
            assert not self._queue, "something runs beside a trial that is to be alone"
            self.alone.append(evaluation.number)
        else:
            assert not any(other.alone for other in self._queue)
        self._queue.append(evaluation)

    def wait(self, seconds: float) -> list[Outcome]:
        if not self._queue:
            return []
        job = self._queue.popleft()
        starved = job.number in self._hungry and not job.alone
        if job.phase == "train" and (job.number in self._hopeless or starved):
            return [Outcome(job.number, job.phase, failure="out_of_memory", message="no memory")]
        score = "accuracy" if job.phase == "train" else "latency_ms"
        return [Outcome(job.number, job.phase, scores={score: 0.5})]

    def close(self) -> None:
        self._queue.clear()


@pytest.mark.parametrize("names", [("accuracy", "macs"), ("accuracy", "latency_ms")])
def test_out_of_memory_is_retried_once_alone(tmp_path: Path, names: tuple[str, ...]) -> None:
    loop = make_loop(tmp_path / "run", budget=12, names=names)
    loop.workers = crowd = Crowd({1, 4, 5, 11}, {4})
    assert loop.run() == "budget"
    assert sorted(crowd.alone) == [1, 4, 5, 11]
    (failed,) = loop.archive.having("failed")
    assert failed.number == 4 and failed.failure == "out_of_memory"
    assert len(loop.archive.having("finished")) == 12


def test_a_worker_that_memory_killed_and_that_is_not_replaced_yet_was_one_of_two(tmp_path: Path) -> None:
    class Mortal(Crowd):
        def wait(self, seconds: float) -> list[Outcome]:
            outcomes = super().wait(seconds)
            self.capacity = 1 if any(outcome.failure for outcome in outcomes) else 2
            return outcomes

    loop = make_loop(tmp_path / "run", budget=6)
    loop.workers = crowd = Mortal({1, 4}, set())
    crowd.capacity = 2
    assert loop.run() == "budget" and sorted(crowd.alone) == [1, 4]
    assert not loop.archive.having("failed")


def test_a_single_worker_was_alone_already(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=4)
    crowd = Crowd(set(), {1})
    crowd.capacity = 1
    loop.workers = crowd
    assert loop.run() == "budget" and crowd.alone == []
