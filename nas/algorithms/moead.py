"""MOEA/D: one scalar problem a weight vector, parents from the best of neighbouring ones (decomposition is pymoo's).

Zhang & Li 2007, "MOEA/D: a multiobjective evolutionary algorithm based on decomposition"; objectives are scaled to the
extent of the front at each ask, as its section V.F advises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.evolution import Evolution
from nas.algorithms.nsga2 import nsga2 as single
from nas.algorithms.nsga3 import reference_directions
from nas.pareto import Frame, non_dominated
from nas.problem import Problem, Trial

NEIGHBOURS = 5
NEAR = 0.9


def moead(problem: Problem, *, seed: int, population: int = 24, warm: Sequence[Trial] = ()) -> Evolution:
    """MOEA/D whose subproblems hold the best of all that has finished; of a single objective it is NSGA-II."""
    if len(problem.objectives) < 2:
        return single(problem, seed=seed, population=population, warm=warm)
    weights = reference_directions(len(problem.objectives), most=population)
    distances = np.linalg.norm(weights[:, None] - weights[None], axis=2)
    near = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]

    def select(points: NDArray[np.float64], pairs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        best = incumbents(points, weights)
        subproblems = generator.integers(len(weights), size=pairs)
        inside = near[subproblems[:, None], generator.integers(near.shape[1], size=(pairs, 2))]
        anywhere = generator.integers(len(weights), size=(pairs, 2))
        return best[np.where(generator.random((pairs, 1)) < NEAR, inside, anywhere)]

    return Evolution(problem, seed=seed, select=select, population=population, warm=warm)


def incumbents(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """The row of the point (k, m) that is best for each weight vector (w, m) by Tchebycheff's distance: (w,)."""
    from pymoo.decomposition.tchebicheff import Tchebicheff

    front = np.flatnonzero(non_dominated(points))
    scaled = Frame.of(points[front]).normalise(points[front])
    values = Tchebicheff().do(
        scaled, np.maximum(weights, 1e-3), _type="many_to_many", ideal_point=np.zeros(weights.shape[1])
    )
    best: NDArray[np.int64] = front[np.argmin(np.asarray(values).reshape(len(front), len(weights)), axis=0)]
    return best
