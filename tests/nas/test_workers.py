"""The pool on Ray with stub evaluators: what dies, hangs or lies becomes a failure, and the pool goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome
from nas.workers import on_ray
from nas.workers.on_ray import OnRay

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    import ray as library

    on_ray.start_ray(cpus=4, gpus=0)
    yield
    library.shutdown()


def evaluation(number: int, **options: Any) -> Evaluation:
    return Evaluation(number=number, phase="train", architecture={}, recipe={}, seed=number, **options)


def collect(pool: OnRay, n: int, *, seconds: float = 60) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    end = time.monotonic() + seconds
    while len(outcomes) < n and time.monotonic() < end:
        outcomes |= {outcome.number: outcome for outcome in pool.wait(0.5)}
    return outcomes


def test_two_actors_share_the_work(ray: None) -> None:
    pool = OnRay(EvaluatorSpec("tests.stubs:Instant", {"seconds": 0.2}), workers=2)
    for number in range(2):
        pool.submit(evaluation(number))
    assert all(outcome.scores["accuracy"] > 0 for outcome in collect(pool, 2).values())
    pool.close()


@pytest.mark.parametrize(
    ("fault", "kind"), [("die", "worker_lost"), ("raise", "error"), ("junk", "error"), ("nan", "error")]
)
def test_faults_become_failures_and_the_pool_goes_on(ray: None, fault: str, kind: str) -> None:
    pool = OnRay(EvaluatorSpec("tests.stubs:Instant", {"faults": {fault: 1.0}}), workers=1)
    for number in range(2):
        pool.submit(evaluation(number))
        outcome = collect(pool, 1)[number]
        assert outcome.failure == kind and outcome.message
    pool.close()


def test_what_hangs_is_ended(ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "GRACE_SECONDS", 0.5)
    pool = OnRay(EvaluatorSpec("tests.stubs:Instant", {"faults": {"hang": 1.0}}), workers=1)
    for number in range(2):
        pool.submit(evaluation(number, timeout=0.5))
        assert collect(pool, 1)[number].failure == "timed_out"
    pool.close()
