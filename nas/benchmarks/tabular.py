"""A table as a problem: what a search is shown of it, and how what it evaluated is scored; it knows no algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import OBJECTIVES, Goal, Kind, Objective, to_points
from nas.pareto import hypervolume, non_dominated
from nas.problem import Problem
from search_spaces.space import Genotype
from search_spaces.table import Table

Scale = Literal["table", "front"]
REFERENCE = {"table": 1.01, "front": 1.1}


def objectives_of(
    text: str, *, table: Table, trained: Sequence[str] = (), timed: Sequence[str] = ()
) -> tuple[Objective, ...]:
    """Objectives written as `accuracy:max,macs:min`; the goal of a well-known one may be left out.

    Accuracy is trained, latency timed, everything else counted, unless `trained` or `timed` name it.

    Raises:
        ValueError: a metric is unknown or named twice, or a goal is missing or neither min nor max.
    """
    objectives: list[Objective] = []
    for part in text.split(","):
        name, _, goal = part.strip().partition(":")
        if name not in table.metrics:
            raise ValueError(f"table {table.name} has no metric {name!r}: use one of {', '.join(table.metrics)}")
        if any(objective.name == name for objective in objectives):
            raise ValueError(f"each objective is named once, got {name!r} twice")
        goal = goal or (OBJECTIVES[name].goal if name in OBJECTIVES else "")
        if goal not in ("min", "max"):
            raise ValueError(f"a goal is min or max, got {goal!r}: write {name}:min or {name}:max")
        unit = OBJECTIVES[name].unit if name in OBJECTIVES else ""
        objectives.append(Objective(name, _goal(goal), unit, _kind(name, trained, timed)))
    for name in (*trained, *timed):
        if all(objective.name != name for objective in objectives):
            raise ValueError(f"{name!r} is no objective of {text!r}: --trained and --timed name objectives")
    return tuple(objectives)


def _goal(text: str) -> Goal:
    return "max" if text == "max" else "min"


def _kind(name: str, trained: Sequence[str], timed: Sequence[str]) -> Kind:
    if name in trained or (name.startswith("accuracy") and name not in timed):
        return "trained"
    return "timed" if name in timed or name.startswith("latency") else "counted"


@dataclass(frozen=True)
class Score:
    """The scale of a benchmark: exact front's volume, and what maps points into the unit box."""

    low: NDArray[np.float64]
    width: NDArray[np.float64]
    reference: float
    exact: float

    def ratio(self, points: NDArray[np.float64]) -> float:
        """Hypervolume of points (n, m) over that of the exact front."""
        volume = hypervolume((points - self.low) / self.width, [self.reference] * len(self.low))
        return volume / self.exact if self.exact > 0 else 1.0


class Benchmark:
    """A table and objectives over it."""

    def __init__(self, table: Table, objectives: Sequence[Objective], *, scale: Scale = "table") -> None:
        self.table = table
        self.objectives = tuple(objectives)
        columns = [{o.name: table.metrics[o.name][row] for o in objectives} for row in range(len(self))]
        self.points = to_points(columns, objectives)
        self.score = self._score(scale)
        counted = [objective.name for objective in objectives if objective.kind == "counted"]
        metrics = {name: table.metrics[name].tolist() for name in counted}

        def count(genotype: Genotype) -> Mapping[str, float]:
            row = table.row(genotype)
            return {name: values[row] for name, values in metrics.items()}

        self.problem = Problem(table.space(), self.objectives, (), count)

    def __len__(self) -> int:
        return int(np.prod(self.table.sizes))

    def _score(self, scale: Scale) -> Score:
        """Scaled by all rows, or by the exact front alone, which outliers elsewhere do not reach."""
        rows = self.points[np.isfinite(self.points).all(axis=1)]
        if len(rows) == 0:
            raise ValueError(f"table {self.table.name} has no row with a value of every objective")
        front = rows[non_dominated(rows)]
        box = rows if scale == "table" else front
        low, high = box.min(axis=0), box.max(axis=0)
        width = np.where(high > low, high - low, 1.0)
        exact = hypervolume((front - low) / width, [REFERENCE[scale]] * rows.shape[1])
        return Score(low, width, REFERENCE[scale], exact)

    def measure(self, genotype: Genotype, *, visit: int, seed: int) -> dict[str, float] | None:
        """One evaluation as a search sees it: one seed's values, drawn at each visit; None where the table has none."""
        row = self.table.row(genotype)
        generator = np.random.default_rng([seed, visit, row])
        scores = {}
        for objective in self.objectives:
            column = (
                generator.choice(self.table.seeds(objective.name)) if objective.kind != "counted" else objective.name
            )
            scores[objective.name] = float(self.table.metrics[column][row])
        return scores if np.isfinite(list(scores.values())).all() else None

    def trace(self, genotypes: Sequence[Genotype]) -> NDArray[np.float64]:
        """Share of the exact hypervolume after each evaluation, scored on the table's means."""
        points = self.points[[self.table.row(genotype) for genotype in genotypes]]
        shares, share = [], 0.0
        front = np.zeros((0, points.shape[1]))
        for point in points:
            if np.isfinite(point).all() and not (front <= point).all(axis=1).any():
                front = np.concatenate([front[~(point <= front).all(axis=1)], point[None]])
                share = self.score.ratio(front)
            shares.append(share)
        return np.array(shares)
