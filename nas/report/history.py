"""How the hypervolume grew over trials and over hours of evaluation; it knows no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluators.objective import Objective, to_points
from nas.members import FRAME_TRIALS, front, hypervolume
from nas.problem import Trial

MOST_POINTS = 300


@dataclass(frozen=True)
class History:
    """Hypervolume after so many finished trials, and after so many hours of evaluation, summed over workers."""

    trials: tuple[int, ...]
    hours: tuple[float, ...]
    values: tuple[float, ...]


def history(
    trials: Sequence[Trial], objectives: Sequence[Objective], *, frame: Mapping[str, Sequence[float]]
) -> History:
    """The hypervolume wherever the front changed, at most about `MOST_POINTS` times, and at the end."""
    whole = _whole_frame(trials, objectives, frame)
    changes: list[tuple[int, float, list[Trial]]] = []
    leaders: list[Trial] = []
    seen: dict[str, list[Trial]] = {}
    finished, hours = 0, 0.0
    for trial in trials:
        hours += seconds_of(trial) / 3600
        if trial.state != "finished":
            continue
        finished += 1
        before = leaders
        leaders = _with(trial, leaders, seen, objectives)
        if leaders is not before:
            changes.append((finished, hours, leaders))
    if not changes:
        return History((), (), ())
    step = max(1, len(changes) // MOST_POINTS)
    kept = [*changes[:-1:step], changes[-1]]
    values = [hypervolume(leading, objectives, frame=whole) or 0.0 for _, _, leading in kept]
    return History(
        (*(at for at, _, _ in kept), finished),
        (*(round(spent, 6) for _, spent, _ in kept), round(hours, 6)),
        (*(round(value, 6) for value in values), round(values[-1], 6)),
    )


def seconds_of(trial: Trial) -> float:
    """What a trial took on its workers, training and timing together; 0 where nothing was noted."""
    seconds = trial.details.get("seconds")
    if not isinstance(seconds, Mapping):
        return 0.0
    return float(sum(seconds[name] for name in ("total", "time") if isinstance(seconds.get(name), int | float)))


def _with(
    trial: Trial, leaders: list[Trial], seen: dict[str, list[Trial]], objectives: Sequence[Objective]
) -> list[Trial]:
    """The trials of the front after one more, with all replicates of each architecture; the same list where it did not change."""
    known = trial.key in seen
    seen.setdefault(trial.key, []).append(trial)
    if known:  # a mean has moved: what it dominated may come back
        everyone = [one for group in seen.values() for one in group]
        keys = {member.trial.key for member in front(everyone, objectives)}
        return [one for one in everyone if one.key in keys]
    if leaders:
        points = to_points([one.scores for one in leaders], objectives)
        point = to_points([trial.scores], objectives)[0]
        if np.all(points <= point, axis=1).any() and all(len(seen[one.key]) == 1 for one in leaders):
            return leaders
    grown = [*leaders, trial]
    keys = {member.trial.key for member in front(grown, objectives)}
    return [one for one in grown if one.key in keys] if trial.key in keys else leaders


def _whole_frame(
    trials: Sequence[Trial], objectives: Sequence[Objective], frame: Mapping[str, Sequence[float]]
) -> dict[str, Sequence[float]]:
    """The frame with an entry for every objective, so that all points of the history are measured by the same."""
    first = [trial for trial in trials if trial.state == "finished"][:FRAME_TRIALS]
    whole = dict(frame)
    for objective in objectives:
        seen = [trial.scores[objective.name] for trial in first]
        if not whole.get(objective.name) and seen:
            ends = (max(seen), min(seen))
            whole[objective.name] = ends if objective.goal == "min" else ends[::-1]
    return whole
