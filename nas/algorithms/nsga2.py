"""NSGA-II: survivors by rank and crowding (pymoo's), parents by binary tournament among them.

Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.evolution import Evolution
from nas.pareto import non_dominated
from nas.problem import Problem, Trial


def nsga2(problem: Problem, *, seed: int, population: int = 20, warm: Sequence[Trial] = ()) -> Evolution:
    """NSGA-II without a generation barrier: its population is the best `population` of all that has finished."""

    def select(points: NDArray[np.float64], pairs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        rows, rank, crowding = survivors(points, population)
        rivals = generator.integers(len(rows), size=(pairs, 2, 2))
        left, right = rivals[..., 0], rivals[..., 1]
        better = (rank[left] < rank[right]) | ((rank[left] == rank[right]) & (crowding[left] >= crowding[right]))
        return rows[np.where(better, left, right)]

    return Evolution(problem, seed=seed, select=select, population=population, warm=warm)


def survivors(
    points: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the best `size` points, their ranks and crowding distances; the last front is cut by crowding."""
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

    rows: list[NDArray[np.int64]] = []
    distances: list[NDArray[np.float64]] = []
    for front in best_fronts(points, size):
        room = size - sum(map(len, rows))
        crowding = np.asarray(calc_crowding_distance(points[front]), dtype=np.float64)
        kept = np.argsort(-crowding, kind="stable")[:room]
        rows.append(front[kept])
        distances.append(crowding[kept])
    ranks = [np.full(len(front), rank) for rank, front in enumerate(rows)]
    return np.concatenate(rows), np.concatenate(ranks), np.concatenate(distances)


def best_fronts(points: NDArray[np.float64], size: int) -> list[NDArray[np.int64]]:
    """Rows of the first fronts, peeled off until they hold `size` points or all; quick while `size` is small."""
    left = np.arange(len(points))
    rows: list[NDArray[np.int64]] = []
    while len(left) and sum(map(len, rows)) < size:
        best = non_dominated(points[left])
        rows.append(left[best])
        left = left[~best]
    return rows
