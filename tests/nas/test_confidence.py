"""How sure a front is, against closed formulas; and which trainings settle it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from evaluators.objective import OBJECTIVES, Objective
from nas.confidence import Settler, _contenders, _shares, confidence, deviation, noise_of
from nas.members import members
from nas.pareto import non_dominated
from nas.problem import Problem, Trial
from search_spaces.space import Choice, Space

ACCURACY, MACS = OBJECTIVES["accuracy"], OBJECTIVES["macs"]
N = 400


def trial(number: int, accuracy: float, macs: float, *, key: str = "", replicate: int = 0, **more: Any) -> Trial:
    scores = {"accuracy": accuracy, "macs": macs, **more.pop("scores", {})}
    return Trial(
        number, (number,), key or f"k{number}", {}, number, more.pop("state", "finished"), scores, replicate, **more
    )


def test_two_networks_of_equal_cost_by_the_normal_formula() -> None:
    trials = [trial(0, 0.90, 1.0), trial(1, 0.92, 1.0)]
    found = confidence(trials, (ACCURACY, MACS), images=N)
    sigma = math.sqrt(0.9 * 0.1 / N + 0.92 * 0.08 / N)
    better = 0.5 * (1 + math.erf(0.02 / sigma / math.sqrt(2)))
    assert found["k1"] == pytest.approx(better, abs=0.04) and found["k0"] == pytest.approx(1 - better, abs=0.04)


def test_the_cheapest_is_certain_and_the_hopeless_is_not() -> None:
    trials = [trial(0, 0.6, 1.0), trial(1, 0.95, 2.0), trial(2, 0.5, 3.0)]
    found = confidence(trials, (ACCURACY, MACS), images=N)
    assert found["k0"] == 1 and found["k1"] == 1 and found["k2"] == 0


def test_those_without_a_chance_are_left_out_of_the_draws_and_change_nothing() -> None:
    generator = np.random.default_rng(1)
    points = generator.random((300, 3))
    spread = np.stack([0.02 * generator.random(300), np.zeros(300), 0.01 * np.ones(300)], axis=1)
    contenders = _contenders(points, spread)
    assert non_dominated(points).sum() < contenders.sum() < 300
    draws = [points + spread * generator.standard_normal(points.shape) for _ in range(300)]
    naive = np.mean([non_dominated(drawn) for drawn in draws], axis=0)
    assert not naive[~contenders].any()
    assert _shares(points, spread) == pytest.approx(naive, abs=0.12)


def test_noise_is_pooled_over_repeated_trainings() -> None:
    assert noise_of([trial(0, 0.9, 1)], (ACCURACY, MACS), images=N).factors == {"accuracy": 1.0}
    spread = 3 * math.sqrt(0.9 * 0.1 / N)
    trials = [
        trial(2 * i + j, 0.9 + (2 * j - 1) * spread, 1, key=f"k{i}", replicate=j) for i in range(40) for j in (0, 1)
    ]
    noise = noise_of(trials, (ACCURACY, MACS), images=N)
    # Two values at ±d have a sample variance of 2d².
    assert noise.repeats == 40 and noise.factors["accuracy"] == pytest.approx((4 + 40 * 2 * 9) / 44, rel=1e-6)
    (member, *_) = members(trials)
    assert deviation(member, ACCURACY, noise) == pytest.approx(
        math.sqrt(noise.factors["accuracy"] * 0.09 / N / 2), rel=1e-6
    )


def test_percentages_and_perfect_scores() -> None:
    percent = Objective("accuracy", "max", "%", "trained")
    noise = noise_of([trial(0, 90.0, 1)], (percent, MACS), images=N)
    (member,) = members([trial(0, 90.0, 1)])
    assert deviation(member, percent, noise) == pytest.approx(100 * math.sqrt(0.09 / N))
    (perfect,) = members([trial(0, 1.0, 1)])
    assert 0 < deviation(perfect, ACCURACY, noise_of([], (ACCURACY,), images=N)) < 0.01


def test_latency_has_the_spread_of_its_measurement() -> None:
    latency = OBJECTIVES["latency_ms"]
    timed = trial(0, 0.9, 1, scores={"latency_ms": 2.0}, details={"latency": {"lower_ms": 1.804, "upper_ms": 2.196}})
    (member,) = members([timed])
    assert deviation(member, latency, noise_of([timed], (latency,), images=N)) == pytest.approx(0.1)
    (bare,) = members([trial(0, 0.9, 1, scores={"latency_ms": 2.0})])
    assert deviation(bare, latency, noise_of([], (latency,), images=N)) == 0


def test_without_trials_nothing_is_said() -> None:
    assert confidence([], (ACCURACY, MACS), images=N) == {}


class Fixed:
    def __init__(self, *trials: Trial) -> None:
        self.trials = trials


def settler() -> Settler:
    space: Space[Any] = Space("toy", (Choice("a", tuple(range(9))),), lambda values: None)  # type: ignore[arg-type,return-value]
    return Settler(Problem(space, (ACCURACY, MACS), (), lambda genotype: {}), images=N)


def test_settling_goes_where_it_is_least_certain() -> None:
    trials = [trial(0, 0.6, 1.0), trial(1, 0.90, 2.0), trial(2, 0.905, 2.1), trial(3, 0.3, 9.0)]
    first, second = settler().ask(Fixed(*trials), 2)
    assert first.genotype == (2,) and first.replicate == 1 and second.genotype != first.genotype
    running = trial(4, 0, 2.1, key="k2", replicate=1, state="running")
    assert settler().ask(Fixed(*trials, running), 1)[0].genotype != (2,)


def test_settling_counts_replicates_that_failed() -> None:
    trials = [trial(0, 0.9, 2.0), trial(1, 0.905, 2.1), trial(2, 0, 2.1, key="k1", replicate=1, state="failed")]
    asked = {p.genotype: p.replicate for p in settler().ask(Fixed(*trials), 2)}
    assert asked[(1,)] == 2 and asked[(0,)] == 1
