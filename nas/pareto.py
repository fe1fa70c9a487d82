"""Mathematics of fronts as pure functions of arrays in which smaller is better; it knows no trial and no objective.

The compiled routines of `moocore` (López-Ibáñez, Paquete, Fonseca) do the work; it is imported on first use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point dominates: (n, m) -> (n,). Equal points are all kept.

    Raises:
        ValueError: the array is not two-dimensional or holds a value that is not finite.
    """
    import moocore

    checked = _check(points)
    if len(checked) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(moocore.is_nondominated(checked, keep_weakly=True), dtype=np.bool_)


def fronts(points: ArrayLike) -> NDArray[np.int64]:
    """Rank of each point by non-dominated sorting, 0 for the front: (n, m) -> (n,). Equal points share a rank.

    Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III.A.

    Raises:
        ValueError: as `non_dominated`.
    """
    import moocore

    checked = _check(points)
    if len(checked) == 0:
        return np.zeros(0, dtype=np.int64)
    if checked.shape[1] == 1:
        return np.unique(checked[:, 0], return_inverse=True)[1].astype(np.int64)
    return np.asarray(moocore.pareto_rank(checked), dtype=np.int64)


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume that (n, m) points dominate up to the reference (m,); points that do not beat it add nothing.

    Raises:
        ValueError: as `non_dominated`, or the reference has another number of objectives.
    """
    import moocore

    checked, corner = _check(points), np.asarray(reference, dtype=np.float64)
    if corner.shape != checked.shape[1:]:
        raise ValueError(
            f"the reference needs one value for each of {checked.shape[1]} objectives, got {corner.tolist()}"
        )
    return float(moocore.hypervolume(checked, ref=corner)) if len(checked) else 0.0


@dataclass(frozen=True)
class Frame:
    """A fixed scale: `ideal` maps to 0, `nadir` to 1; hypervolumes within one frame are comparable and never fall."""

    ideal: tuple[float, ...]
    nadir: tuple[float, ...]
    margin: float = 0.1

    @classmethod
    def of(cls, points: ArrayLike, *, margin: float = 0.1) -> Frame:
        """The frame of the box that holds all the points, for example the first finished trials of a run.

        The reference lies `margin` beyond the worst of them, so that extremes count
        (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume calculation").

        Raises:
            ValueError: as `non_dominated`, or there is no point.
        """
        checked = _check(points)
        if len(checked) == 0:
            raise ValueError("a frame needs one or more points, got none: wait for the first finished trial")
        return cls(tuple(checked.min(axis=0).tolist()), tuple(checked.max(axis=0).tolist()), margin)

    def normalise(self, points: ArrayLike) -> Points:
        """The points in units of the frame: (n, m) -> (n, m); outside of the frame they leave 0 to 1."""
        ideal, nadir = np.array(self.ideal), np.array(self.nadir)
        width = nadir - ideal
        scaled: Points = (_check(points) - ideal) / np.where(width > 0, width, 1.0)
        return scaled

    def hypervolume(self, points: ArrayLike) -> float:
        """The dominated share of the box from ideal to reference; above 1 once points beat the ideal of the frame."""
        corner = 1 + self.margin
        return hypervolume(self.normalise(points), [corner] * len(self.ideal)) / corner ** len(self.ideal)


def knee(points: ArrayLike) -> int:
    """Index of the front's point that lies farthest below the hyperplane through its extremes.

    Das 1999, "On characterizing the 'knee' of the Pareto curve based on normal-boundary intersection": the front is
    scaled from its ideal to its nadir, the plane is the sum of the objectives = 1. Among equals the first. Dominated
    points are never chosen.

    Raises:
        ValueError: as `non_dominated`, or there is no point.
    """
    checked = _check(points)
    if len(checked) == 0:
        raise ValueError("a knee needs one or more points, got none: wait for the first finished trial")
    front = np.flatnonzero(non_dominated(checked))
    scaled = Frame.of(checked[front]).normalise(checked[front])
    return int(front[np.argmin(scaled.sum(axis=1))])


def _check(points: ArrayLike) -> Points:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"points must be an array (points, objectives), got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("points must be finite: leave trials without scores out before comparing")
    return np.ascontiguousarray(array)
