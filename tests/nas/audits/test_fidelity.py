"""Rank correlations, noise and the choice of a rung, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.audits import fidelity


def test_kendall_by_counting_pairs() -> None:
    assert fidelity.kendall([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx((5 - 1) / 6)
    assert fidelity.kendall([1, 2, 3], [3, 2, 1]) == -1
    assert fidelity.kendall([1, 1, 1], [3, 2, 1]) == 0
    assert fidelity.kendall([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(2 * 3))


def test_agreement_is_the_mean_over_seeds_and_over_the_best() -> None:
    truth = np.arange(16.0)
    reverse_best = truth.copy()
    reverse_best[12:] = reverse_best[12:][::-1]
    found = fidelity.agreement([truth, reverse_best], truth)
    assert found.tau == pytest.approx((1 + (120 - 2 * 6) / 120) / 2) and found.tau_best_quarter == 0
    assert found.tau_lower <= found.tau <= found.tau_upper


@pytest.mark.parametrize(("networks", "best"), [(4, 4), (12, 4), (16, 4), (40, 10), (41, 11)])
def test_best_quarter(networks: int, best: int) -> None:
    assert fidelity.best_quarter(networks) == best


def test_noise_and_ceiling() -> None:
    table = np.array([[0.5, 0.7, 0.9], [0.6, 0.7, 0.8]])
    assert fidelity.seed_noise(table) == pytest.approx(math.sqrt((0.005 + 0 + 0.005) / 3))
    assert math.isnan(fidelity.seed_noise(table[:1])) and math.isnan(fidelity.ceiling(table[:1]))
    assert fidelity.ceiling(table) == 1


def test_the_cheapest_rung_holds_from_there_on() -> None:
    assert fidelity.cheapest({1: 0.5, 2: 0.8, 3: 0.9}, wanted=0.7) == 2
    assert fidelity.cheapest({1: 0.9, 2: 0.5, 3: 0.8}, wanted=0.7) == 3
    assert fidelity.cheapest({1: 0.1, 2: 0.2}, wanted=0.7) is None


def test_a_spread_goes_from_the_least_to_the_most() -> None:
    costs = np.array([5.0, 1.0, 9.0, 3.0, 7.0])
    assert costs[fidelity.spread(costs, networks=3)].tolist() == [1, 5, 9]
    assert len(set(fidelity.spread(np.ones(20), networks=12).tolist())) == 12
