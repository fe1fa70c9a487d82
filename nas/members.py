"""The front of an archive: its members, with replicates averaged, and its hypervolume; it knows no store and no picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import Objective, to_points
from nas import pareto
from nas.problem import Problem, Trial

FRAME_TRIALS = 10
FRAME_SAMPLES = 64


@dataclass(frozen=True)
class Member:
    """An evaluated architecture: its first finished trial, and its scores as means over its `replicates` finished trials."""

    trial: Trial
    scores: Mapping[str, float]
    replicates: int


def members(trials: Sequence[Trial]) -> list[Member]:
    """Every architecture with a finished trial, in order of those trials."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state == "finished":
            groups.setdefault(trial.key, []).append(trial)
    return [
        Member(
            group[0],
            {name: statistics.fmean(t.scores[name] for t in group if name in t.scores) for name in group[0].scores},
            len(group),
        )
        for group in groups.values()
    ]


def front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Member]:
    """The non-dominated architectures, sorted by the second objective (the cost), best first; of equal scores the first."""
    candidates = members(trials)
    if not candidates:
        return []
    points = to_points([member.scores for member in candidates], objectives)
    unique: dict[tuple[float, ...], int] = {}
    for i in np.flatnonzero(pareto.non_dominated(points)):
        unique.setdefault(tuple(points[i].tolist()), int(i))
    by = 1 if len(objectives) > 1 else 0
    return [candidates[i] for i in sorted(unique.values(), key=lambda i: (points[i][by], i))]


def hypervolume(
    trials: Sequence[Trial], objectives: Sequence[Objective], *, frame: Mapping[str, Sequence[float]]
) -> float | None:
    """The share of the frame's box that the front dominates, 0 to 1, costs by their logarithm; `None` without a finished trial.

    `frame` gives (worst, best) by objective, as `frame_of` makes it; one without an entry is framed by the first ten trials.
    Figures of runs with the same frame are comparable, and within a run the figure never falls once ten trials are in.
    """
    found = front(trials, objectives)
    if not found:
        return None
    points = in_frame([member.scores for member in found], trials, objectives, frame=frame)
    return pareto.hypervolume(points, [1.0] * len(objectives))


def in_frame(
    scores: Sequence[Mapping[str, float]],
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    *,
    frame: Mapping[str, Sequence[float]],
) -> NDArray[np.float64]:
    """Scores in units of the run's frame, (n, objectives) from 0, the best, to 1, the worst; see `hypervolume`."""
    first = [trial for trial in trials if trial.state == "finished"][:FRAME_TRIALS]
    columns = []
    for objective in objectives:
        seen = [trial.scores[objective.name] for trial in first]
        low, high = min(seen), max(seen)
        worst, best = frame.get(objective.name) or ((high, low) if objective.goal == "min" else (low, high))
        values = _scale([row[objective.name] for row in scores], objective)
        ends = _scale([worst, best], objective)
        width = ends[1] - ends[0]
        columns.append(np.clip((ends[1] - values) / width if width else np.zeros(len(values)), 0, 1))
    return np.stack(columns, axis=1)


def frame_of(problem: Problem, *, chance: float) -> dict[str, tuple[float, float]]:
    """(worst, best) of each objective that is known before anything is trained.

    Counted objectives over a fixed sample of the space; a fraction from `chance`, which guessing gives, to 1.
    """
    generator = np.random.default_rng(0)
    counts = [problem.count(problem.space.sample(generator)) for _ in range(FRAME_SAMPLES)]
    frame = {}
    for objective in problem.objectives:
        if objective.name in counts[0]:
            values = [count[objective.name] for count in counts]
            ends = (min(values), max(values))
            frame[objective.name] = ends if objective.goal == "max" else ends[::-1]
        elif objective.unit == "fraction":
            frame[objective.name] = (chance, 1.0)
    return frame


def _scale(values: Sequence[float], objective: Objective) -> NDArray[np.float64]:
    """Costs by their logarithm, since they span decades; fractions as they are."""
    array = np.asarray(values, dtype=np.float64)
    return array if objective.unit in {"fraction", "%"} else np.log10(np.maximum(array, 1e-9))
