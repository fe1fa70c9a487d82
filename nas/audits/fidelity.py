"""How well short trainings rank what long ones tell apart: rank correlations as pure functions of arrays; it knows no training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST = 4


@dataclass(frozen=True)
class Agreement:
    """Kendall's τ-b with the reference: overall, in its best quarter, and a 90 % bootstrap interval over networks."""

    tau: float
    tau_lower: float
    tau_upper: float
    tau_best_quarter: float


def kendall(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's τ-b of two lists; 0 where one of them is constant, which ranks nothing."""
    from scipy.stats import kendalltau

    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(kendalltau(x, y).statistic)


def agreement(proxy: ArrayLike, reference: ArrayLike, *, resamples: int = 200) -> Agreement:
    """How proxies (seeds, networks) rank the networks of a reference (networks,): the mean over seeds.

    The best quarter holds at least four networks; its τ is over few pairs, and is to be read so.
    """
    rows, truth = np.atleast_2d(np.asarray(proxy, dtype=np.float64)), np.asarray(reference, dtype=np.float64)
    best = np.argsort(-truth, kind="stable")[: best_quarter(len(truth))]
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(truth), size=len(truth)) for _ in range(resamples)]
    spread = [np.mean([kendall(row[draw], truth[draw]) for row in rows]) for draw in draws]
    lower, upper = np.quantile(spread, [0.05, 0.95])
    return Agreement(
        tau=float(np.mean([kendall(row, truth) for row in rows])),
        tau_lower=float(lower),
        tau_upper=float(upper),
        tau_best_quarter=float(np.mean([kendall(row[best], truth[best]) for row in rows])),
    )


def best_quarter(networks: int) -> int:
    """How many networks the best quarter holds."""
    return min(networks, max(LEAST, math.ceil(networks / 4)))


def seed_noise(accuracies: ArrayLike) -> float:
    """The standard deviation over seeds, pooled over networks: (seeds, networks) -> one figure; NaN for one seed."""
    rows = np.atleast_2d(np.asarray(accuracies, dtype=np.float64))
    return float(np.sqrt(rows.var(axis=0, ddof=1).mean())) if len(rows) > 1 else math.nan


def ceiling(accuracies: ArrayLike) -> float:
    """The noise ceiling: how well one seed of the long training ranks as another does, the mean over pairs; NaN for one seed."""
    rows = np.atleast_2d(np.asarray(accuracies, dtype=np.float64))
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    return float(np.mean([kendall(rows[i], rows[j]) for i, j in pairs])) if pairs else math.nan


def cheapest(taus: Mapping[int, float], *, wanted: float) -> int | None:
    """The fewest epochs whose τ, and that of every longer rung, reaches the one wanted; `None` where none does."""
    reached = None
    for epochs in sorted(taus, reverse=True):
        if taus[epochs] < wanted:
            break
        reached = epochs
    return reached


def spread(costs: NDArray[np.float64], *, networks: int) -> NDArray[np.int64]:
    """Indices of networks whose costs lie evenly from the least to the most, each taken once."""
    order = np.argsort(costs, kind="stable")
    chosen: NDArray[np.int64] = order[np.unique(np.linspace(0, len(order) - 1, networks).round().astype(int))]
    return chosen
