"""What a candidate is worth: expected hypervolume improvement under models, times the chance that it keeps limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.improvement import expected
from nas.algorithms.models import Model
from nas.algorithms.warp import Warp
from nas.pareto import hypervolume, non_dominated
from nas.problem import Limit

Array = NDArray[np.float64]

FLAT = 2
HOPE = -1.0
MARGIN = 0.1


@dataclass(frozen=True)
class Modelled:
    """A model of one objective: its column, its sign, its warp, and the limits on it."""

    column: int
    sign: float
    warp: Warp
    model: Model
    limits: tuple[Limit, ...]

    def chance(self, mean: Array, deviation: Array) -> Array:
        """The probability that every limit on the objective is kept."""
        from scipy.special import ndtr

        chance = np.ones(len(mean))
        for limit in self.limits:
            bound = self.warp.forward(np.array([limit.value * self.sign]))[0]
            below = (limit.relation == "<=") == (self.sign > 0)
            chance *= ndtr((bound - mean) / deviation) if below else ndtr((mean - bound) / deviation)
        return chance


@dataclass(frozen=True)
class Acquisition:
    """Models, the front found so far (k, m), and the references up to which its volume counts.

    Two references hedge between a front that may still grow and outliers that should not matter: one beyond everything
    that was evaluated, one just beyond the front. Relative gains in both are added.
    """

    exact: Sequence[int]
    modelled: tuple[Modelled, ...]
    front: Array
    references: tuple[Array, ...]

    def points(self, rows: Array, exact: Array) -> Array:
        """Expected points of candidates: features (n, columns), exact objectives (n, exact) -> (n, m)."""
        return self._place(exact, [one.warp.backward(one.model.predict(rows)[0]) for one in self.modelled])

    def guess(self, rows: Array, exact: Array) -> Array:
        """The worth by few nodes where there are many objectives, whose volumes take long."""
        return self._worth(rows, exact, HOPE if self.front.shape[1] > FLAT else None)

    def __call__(self, rows: Array, exact: Array) -> Array:
        """The worth of candidates: features (n, columns), exact objectives (n, exact) -> (n,)."""
        return self._worth(rows, exact, None)

    def _worth(self, rows: Array, exact: Array, hope: float | None) -> Array:
        beliefs = [one.model.predict(rows) for one in self.modelled]
        means, deviations = [mean for mean, _ in beliefs], [np.sqrt(variance) for _, variance in beliefs]
        chance = np.ones(len(rows))
        for one, mean, deviation in zip(self.modelled, means, deviations, strict=True):
            chance *= one.chance(mean, deviation)

        def sample(node: Array) -> Array:
            moved = [
                one.warp.backward(mean + z * deviation)
                for one, mean, deviation, z in zip(self.modelled, means, deviations, node, strict=True)
            ]
            return self._place(exact, moved)

        node = None if hope is None else np.full(len(means), hope)
        total = np.zeros(len(rows))
        for reference in self.references:
            whole = max(hypervolume(self.front, reference), 1e-12 * float(np.prod(np.abs(reference) + 1e-300)))
            total += expected(sample, front=self.front, reference=reference, modelled=len(means), node=node) / whole
        return total * chance

    def believe(self, row: Array, exact: Array) -> Acquisition:
        """As if a candidate, features (1, columns), had been evaluated and had met its expectation."""
        point = self.points(row, exact)
        modelled = tuple(replace(one, model=one.model.believe(row)) for one in self.modelled)
        return replace(self, modelled=modelled, front=front_of(np.concatenate([self.front, point])))

    def _place(self, exact: Array, modelled: Sequence[Array]) -> Array:
        points = np.empty((len(exact), self.front.shape[1]))
        points[:, list(self.exact)] = exact
        for one, values in zip(self.modelled, modelled, strict=True):
            points[:, one.column] = values
        return points


def front_of(points: Array) -> Array:
    """The non-dominated points."""
    return points[non_dominated(points)]


def references_of(points: Array, front: Array) -> tuple[Array, ...]:
    """Beyond all evaluated points, and beyond the front, by a tenth of their extent."""
    corners = []
    for box in (points, front):
        if len(box):
            low, high = box.min(axis=0), box.max(axis=0)
            width = np.where(high > low, high - low, np.maximum(np.abs(high), 1e-12))
            corners.append(high + MARGIN * width)
    return tuple(corners)
