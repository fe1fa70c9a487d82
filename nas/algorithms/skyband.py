"""The points that few others dominate, kept up as points come; it knows no algorithm.

Papadias, Tao, Fu, Seeger 2005, "Progressive skyline computation in database systems", call it the K-skyband. Whoever peels fronts off
until they hold K points never looks beyond it: what dominates a point of the last of these fronts lies in the fronts before it, and
these hold fewer than K. A point that K others dominate stays out for ever, since points are only added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
PIECE = 256


class Skyband:
    """What fewer than `most` others dominate; remembers the points of the last call, as a cache only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._reset(0)

    def rows(self, ids: NDArray[np.int64], points: Points) -> NDArray[np.int64]:
        """Ascending rows of such points among (n, m), smaller is better; `ids` (n,) ascending name them from call to call."""
        self._grow(ids, points.shape[1])
        fresh = np.flatnonzero((self._seen[ids] != points).any(axis=1))
        if len(ids) - len(fresh) != self._count:  # a point has changed or gone: not what a run does
            self._reset(points.shape[1])
            self._grow(ids, points.shape[1])
            fresh = np.arange(len(ids))
        for start in range(0, len(fresh), PIECE):
            self._add(ids[fresh[start : start + PIECE]], points[fresh[start : start + PIECE]])
        return np.searchsorted(ids, np.sort(self._ids))

    def _reset(self, objectives: int) -> None:
        self._seen = np.full((0, objectives), np.nan)
        self._count = 0
        self._ids = np.zeros(0, dtype=np.int64)
        self._points = np.zeros((0, objectives))
        self._dominators = np.zeros(0, dtype=np.int64)

    def _grow(self, ids: NDArray[np.int64], objectives: int) -> None:
        if self._seen.shape[1] != objectives:
            self._reset(objectives)
        short = int(ids.max(initial=-1)) + 1 - len(self._seen)
        if short > 0:
            more = np.full((max(short, len(self._seen)), objectives), np.nan)
            self._seen = np.concatenate([self._seen, more])

    def _add(self, ids: NDArray[np.int64], points: Points) -> None:
        self._seen[ids] = points
        self._count += len(ids)
        old = len(self._ids)
        both = np.concatenate([self._points, points])
        dominators = np.concatenate([self._dominators, _dominates(both, points).sum(axis=0)])
        dominators[:old] += _dominates(points, self._points).sum(axis=0)
        kept = dominators < self._most
        self._ids = np.concatenate([self._ids, ids])[kept]
        self._points, self._dominators = both[kept], dominators[kept]


def _dominates(points: Points, others: Points) -> NDArray[np.bool_]:
    """Whether a point dominates another: (n, m), (k, m) -> (n, k)."""
    left, right = points[:, None], others[None]
    return np.asarray((left <= right).all(axis=2) & (left < right).any(axis=2))
