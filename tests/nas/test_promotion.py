"""The forecast at a rung: its probabilities are as often right as they say, and it knows the front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from evaluators.objective import OBJECTIVES
from nas.members import hypervolume
from nas.problem import Problem, Trial
from nas.promotion import EXAMPLES, NOTICED, Verdict, forecast
from tests.nas.test_loop import toy_space

FRAME = {"accuracy": [0.1, 1.0], "macs": [1e7, 1e4]}


def told_of(problem: Problem, trials: list[Trial], trial: Trial) -> Verdict | None:
    return forecast(problem, trials, trial, frame=FRAME)


def problem(*names: str) -> Problem:
    return Problem(toy_space(), tuple(OBJECTIVES[name] for name in names), (), lambda genotype: {})


def trial(number: int, *, macs: float, curve: list[float], **scores: float) -> Trial:
    steps: list[Mapping[str, Any]] = [{"epoch": 3**i, "accuracy": value} for i, value in enumerate(curve)]
    return Trial(
        number=number,
        genotype=(number,),
        key=f"{number:016x}",
        architecture={},
        seed=number,
        state="finished" if "accuracy" in scores else "running",
        scores={"macs": macs, **scores},
        details={"curve": steps},
    )


def learner(generator: np.random.Generator, number: int, *, noise: float = 0.3) -> tuple[Trial, Trial]:
    """A trial at its first rung, and the same at its end: more log-odds by 1.5, more so for dear networks."""
    macs = float(10 ** generator.uniform(5, 7))
    odds = generator.normal(0, 1)
    end = odds + 1.5 + 0.3 * (np.log10(macs) - 6) + noise * generator.standard_normal()
    rung, final = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-end))
    return trial(number, macs=macs, curve=[rung]), trial(number, macs=macs, curve=[rung], accuracy=final)


def test_nothing_is_forecast_from_few_examples() -> None:
    generator = np.random.default_rng(0)
    ended = [learner(generator, i)[1] for i in range(EXAMPLES - 1)]
    running, last = learner(generator, 99)
    assert told_of(problem("accuracy", "macs"), ended, running) is None
    assert told_of(problem("accuracy", "macs"), [*ended, last], running) is not None


def test_a_copy_of_what_is_beaten_is_hopeless_and_what_leads_is_not() -> None:
    generator = np.random.default_rng(1)
    ended = [learner(generator, i, noise=0.05)[1] for i in range(20)]
    best = max(ended, key=lambda t: t.scores["accuracy"])
    rung = best.details["curve"][0]["accuracy"]
    asked = problem("accuracy", "macs")
    worse = told_of(asked, ended, trial(50, macs=best.scores["macs"] * 2, curve=[0.5 * rung]))
    better = told_of(asked, ended, trial(51, macs=best.scores["macs"], curve=[1 - 0.5 * (1 - rung)]))
    cheaper = told_of(asked, ended, trial(52, macs=1e4, curve=[0.1]))
    assert worse is not None and better is not None and cheaper is not None
    assert worse.probability < 0.01 and better.probability > 0.9 and cheaper.probability == 1
    assert set(worse.scores) == {"accuracy", "macs"} and worse.scores["accuracy"] < best.scores["accuracy"]


def test_a_forecast_is_a_function_of_the_trials() -> None:
    generator = np.random.default_rng(2)
    ended = [learner(generator, i)[1] for i in range(12)]
    running, _ = learner(generator, 30)
    first, again = (told_of(problem("accuracy", "macs"), ended, running) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("examples", [8, 12, 30])
def test_probabilities_hold_what_they_promise(examples: int) -> None:
    generator = np.random.default_rng(examples)
    told, happened = [], []
    for i in range(150):
        ended = [learner(generator, j)[1] for j in range(examples)]
        running, end = learner(generator, 1000 + i)
        verdict = told_of(problem("accuracy", "macs"), ended, running)
        assert verdict is not None
        told.append(verdict.probability)
        objectives = problem("accuracy", "macs").objectives
        before, after = (hypervolume(some, objectives, frame=FRAME) for some in (ended, [*ended, end]))
        assert before is not None and after is not None
        happened.append(after >= (1 + NOTICED) * before)
    stopped = np.array(told) < 0.1
    assert stopped.mean() > 0.3
    assert np.array(happened)[stopped].mean() < 0.1
    assert abs(np.mean(told) - np.mean(happened)) < 0.08


def test_what_is_not_timed_yet_is_forecast_from_what_is_counted() -> None:
    generator = np.random.default_rng(3)
    ended = []
    for i in range(20):
        _, end = learner(generator, i, noise=0.05)
        ended.append(
            trial(i, macs=end.scores["macs"], curve=[end.details["curve"][0]["accuracy"]], accuracy=end.scores["accuracy"],
                  latency_ms=end.scores["macs"] / 1e6)
        )  # fmt: skip
    asked = problem("accuracy", "latency_ms")
    best = max(ended, key=lambda t: t.scores["accuracy"])
    slow = told_of(asked, ended, trial(60, macs=1e7, curve=[0.2]))
    fast = told_of(asked, ended, trial(61, macs=1e4, curve=[best.details["curve"][0]["accuracy"]]))
    assert slow is not None and fast is not None
    assert slow.scores["latency_ms"] == pytest.approx(10, rel=0.3) and slow.probability < 0.05
    assert fast.scores["latency_ms"] == pytest.approx(0.01, rel=0.5) and fast.probability > 0.9
