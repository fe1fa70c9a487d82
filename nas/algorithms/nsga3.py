"""NSGA-III: survivors spread over reference directions (pymoo's), parents at random among them.

Deb & Jain 2014, "An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
approach, part I"; MUXNet's search over accuracy, parameters and multiply-adds uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.evolution import Evolution
from nas.algorithms.nsga2 import best_fronts
from nas.algorithms.nsga2 import nsga2 as single
from nas.problem import Problem, Trial


def nsga3(problem: Problem, *, seed: int, population: int = 24, warm: Sequence[Trial] = ()) -> Evolution:
    """NSGA-III without a generation barrier; of a single objective it is NSGA-II."""
    if len(problem.objectives) < 2:
        return single(problem, seed=seed, population=population, warm=warm)
    directions = reference_directions(len(problem.objectives), most=population)

    def select(points: NDArray[np.float64], pairs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        rows = survivors(points, population, directions, generator)
        return rows[generator.integers(len(rows), size=(pairs, 2))]

    return Evolution(problem, seed=seed, select=select, population=population, warm=warm)


def reference_directions(objectives: int, *, most: int) -> NDArray[np.float64]:
    """As many directions as fit into `most` of the structured ones of Das & Dennis 1998: (directions, objectives)."""
    from pymoo.util.ref_dirs import get_reference_directions

    directions = np.eye(objectives)
    for partitions in range(1, most):
        finer = np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=partitions))
        if len(finer) > most:
            break
        directions = finer
    return directions


def survivors(
    points: NDArray[np.float64], size: int, directions: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of the `size` points that NSGA-III keeps."""
    from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem as PymooProblem

    rows = np.concatenate(best_fronts(points, size))
    people = Population.new(F=points[rows])
    problem = PymooProblem(n_var=1, n_obj=points.shape[1])
    survival = ReferenceDirectionSurvival(directions)
    kept = survival.do(problem, people, n_survive=size, random_state=generator, return_indices=True)
    return rows[np.asarray(kept, dtype=np.int64)]
