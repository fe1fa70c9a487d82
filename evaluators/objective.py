"""What can be asked of an architecture: name, goal, unit, and how it is obtained; goals become signs here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Goal = Literal["min", "max"]
Kind = Literal["counted", "timed", "trained"]


@dataclass(frozen=True)
class Objective:
    """A name, a goal, a unit and how it is obtained: counted (exact, free), timed (alone on a device) or trained."""

    name: str
    goal: Goal
    unit: str
    kind: Kind


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("accuracy", "max", "fraction", "trained"),
        Objective("params", "min", "parameters", "counted"),
        Objective("macs", "min", "multiply-adds", "counted"),
        Objective("latency_ms", "min", "ms", "timed"),
    )
}


def to_points(scores: Sequence[Mapping[str, float]], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Scores as an array (trials, objectives) in which smaller is better."""
    signs = np.array([1.0 if objective.goal == "min" else -1.0 for objective in objectives])
    rows = [[row[objective.name] for objective in objectives] for row in scores]
    points: NDArray[np.float64] = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(objectives)) * signs
    return points
