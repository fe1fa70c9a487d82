"""Expected hypervolume improvement of candidates, some objectives known exactly and others as normal distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.pareto import non_dominated

Array = NDArray[np.float64]


def improvement(points: Array, front: Array, reference: Array) -> Array:
    """By how much each point (n, m) alone raises the hypervolume of a front (k, m): (n,)."""
    points = np.minimum(points, reference)
    front = front[(front < reference).all(axis=1)]
    if len(front) == 0:
        return np.asarray(np.prod(reference - points, axis=1))
    front = np.unique(front[non_dominated(front)], axis=0)
    if points.shape[1] == 1:
        return np.asarray(np.maximum(front.min() - points[:, 0], 0.0))
    if points.shape[1] == 2:
        return _flat(points, front, reference)
    return _deep(points, front, reference)


def _flat(points: Array, front: Array, reference: Array) -> Array:
    """Two objectives: strips between neighbours of the front, each open down from the left neighbour's height."""
    left = np.concatenate([[-np.inf], front[:, 0]])
    right = np.concatenate([front[:, 0], reference[:1]])
    height = np.concatenate([reference[1:], front[:, 1]])
    width = np.maximum(right - np.maximum(left, points[:, :1]), 0.0)
    return np.asarray((width * np.maximum(height - points[:, 1:], 0.0)).sum(axis=1))


def _deep(points: Array, front: Array, reference: Array) -> Array:
    """More objectives: the exclusive volume of While, Bradstreet & Barone 2012, with the front clipped to each point."""
    import moocore

    gains = np.prod(reference - points, axis=1)
    for i in np.flatnonzero(gains > 0):
        clipped = np.maximum(front, points[i])
        gains[i] -= moocore.hypervolume(clipped, ref=reference)
    return np.asarray(np.maximum(gains, 0.0))


def quadrature(modelled: int) -> tuple[Array, Array]:
    """Nodes (s, modelled) and weights (s,) over independent standard normals: Gauss-Hermite for one, else Sobol points."""
    if modelled == 0:
        return np.zeros((1, 0)), np.ones(1)
    if modelled == 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        return nodes[:, None], weights / weights.sum()
    from scipy.stats import norm, qmc

    uniform = qmc.Sobol(modelled, scramble=True, rng=0).random(32)
    return np.asarray(norm.ppf(uniform)), np.full(len(uniform), 1 / len(uniform))


def expected(
    sample: Callable[[Array], Array], *, front: Array, reference: Array, modelled: int, node: Array | None = None
) -> Array:
    """Mean improvement over the quadrature; `sample` maps a node (modelled,) to points (n, m). With `node`, only there."""
    nodes, weights = quadrature(modelled) if node is None else (node[None], np.ones(1))
    clouds = np.stack([sample(at) for at in nodes])
    gains = improvement(clouds.reshape(-1, clouds.shape[2]), front, reference).reshape(clouds.shape[:2])
    return np.asarray(weights @ gains)
