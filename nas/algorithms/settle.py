"""What another seed of a front member is worth: how much the front's volume is expected to change for the better by knowing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.acquisition import Acquisition
from nas.algorithms.improvement import improvement, quadrature
from nas.pareto import hypervolume

Array = NDArray[np.float64]


def settling(acquisition: Acquisition, rows: Array, exact: Array) -> Array:
    """Worth of one more evaluation of each front member, in the units of `Acquisition`: (k, columns), (k, exact) -> (k,).

    After another evaluation the mean moves by a normal of variance v² / (v + noise), v being its variance now (the
    knowledge gradient of Frazier, Powell & Dayanik 2009, equation 9); a member's contribution is convex in it.
    """
    beliefs = [(one, *one.model.predict(rows)) for one in acquisition.modelled]
    moves = [variance / np.sqrt(variance + one.model.noise) for one, _, variance in beliefs]
    nodes, weights = quadrature(len(beliefs))
    now = acquisition.points(rows, exact)
    worth = np.zeros(len(rows))
    for i in range(len(rows)):
        others = acquisition.front[~np.isclose(acquisition.front, now[i]).all(axis=1)]
        moved = np.repeat(now[i : i + 1], len(nodes), axis=0)
        for k, (one, mean, _) in enumerate(beliefs):
            moved[:, one.column] = one.warp.backward(mean[i] + nodes[:, k] * moves[k][i])
        for reference in acquisition.references:
            gains = improvement(np.concatenate([moved, now[i : i + 1]]), others, reference)
            whole = max(hypervolume(acquisition.front, reference), 1e-300)
            worth[i] += max(float(weights @ gains[:-1]) - float(gains[-1]), 0.0) / whole
    return worth
