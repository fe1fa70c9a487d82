"""Monotone transforms of a measured objective into a scale on which models err evenly, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """`forward` maps raw values (n,), smaller is better, to standardised ones; `backward` undoes it, beyond them as well."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array], Array]


def raw(values: Array) -> Warp:
    """Standardised, nothing else."""
    return _standardised(values, lambda v: v, lambda t: t)


def logarithm(values: Array) -> Warp:
    """The logarithm of the distance to a point as far below the best value as the median lies above it.

    Errors of networks fall as power laws of their size, and the worst values, failed trainings, tell least.
    """
    best = float(values.min())
    scale = float(np.median(values)) - best or float(values.max()) - best or 1.0
    return _standardised(
        values,
        lambda v: np.log(np.maximum((v - best) / scale + 1.0, 1e-3)),
        lambda t: best + scale * (np.exp(np.minimum(t, 50.0)) - 1.0),
    )


def ranks(values: Array) -> Warp:
    """Normal scores of the ranks, linear between and beyond them; outliers keep no weight but their order."""
    from scipy.special import ndtri

    levels, counts = np.unique(values, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    scores = ndtri(middle / len(values))
    if len(levels) == 1:
        return raw(values)
    return _standardised(values, lambda v: _line(v, levels, scores), lambda t: _line(t, scores, levels))


def _standardised(values: Array, to: Callable[[Array], Array], back: Callable[[Array], Array]) -> Warp:
    inner = to(values)
    middle, width = float(inner.mean()), float(inner.std()) or 1.0
    return Warp(lambda v: (to(v) - middle) / width, lambda t: back(t * width + middle))


def _line(at: Array, xs: Array, ys: Array) -> Array:
    """Linear interpolation that goes on with the slope of the outer fifth."""
    reach = max(1, len(xs) // 5)
    low = (ys[reach] - ys[0]) / (xs[reach] - xs[0])
    high = (ys[-1] - ys[-1 - reach]) / (xs[-1] - xs[-1 - reach])
    inside = np.interp(at, xs, ys)
    return np.asarray(inside + np.minimum(at - xs[0], 0) * low + np.maximum(at - xs[-1], 0) * high)


WARPS: dict[str, Callable[[Array], Warp]] = {"raw": raw, "logarithm": logarithm, "ranks": ranks}
