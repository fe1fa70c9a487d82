"""Whether a trial that has come to a rung is worth training on: a forecast of its final scores against the front; it knows no loop.

A learning-curve model is fitted to the trials that were trained to the end: from the accuracies at the rungs so far, and from the
counted objectives, to what the rest of the training adds. Accuracies are taken as log-odds and all else as logarithms, in which
gains and errors are alike near 0, near 1 and over decades. The model is Bayesian linear regression (MacKay 1992, "Bayesian
interpolation"), which with few examples falls back to the mean gain; its forecast is a Student t distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import Objective, to_points
from nas.members import front
from nas.problem import Problem, Trial

EXAMPLES = 8
DRAWS = 1024
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What is expected of a trial: `probability` of being non-dominated at the end, and the median forecast of all `scores`."""

    probability: float
    scores: Mapping[str, float]


def forecast(problem: Problem, trials: Sequence[Trial], trial: Trial) -> Verdict | None:
    """What a trial that has come to a rung is expected to end with; `None` while too few trials were trained to the end."""
    finished = [other for other in trials if other.state == "finished" and len(curve(other)) >= len(curve(trial))]
    if len(finished) < EXAMPLES:
        return None
    generator = np.random.default_rng(trial.seed)
    draws, scores = {}, dict(trial.scores)
    for objective in problem.objectives:
        if objective.name in trial.scores:
            draws[objective.name] = np.full(DRAWS, trial.scores[objective.name])
        else:
            middle, draws[objective.name] = _forecast(objective, finished, trial, generator)
            scores[objective.name] = middle
    rows = [{name: float(values[i]) for name, values in draws.items()} for i in range(DRAWS)]
    points = to_points(rows, problem.objectives)
    best = to_points([member.scores for member in front(trials, problem.objectives)], problem.objectives)
    beaten = np.any(np.all(best[None] <= points[:, None], axis=2), axis=1)
    return Verdict(float(1 - beaten.mean()), scores)


def curve(trial: Trial) -> list[Mapping[str, float]]:
    """The trained scores at each rung that a trial has come to, each with its `epoch`."""
    return list(trial.details.get("curve", []))


def _forecast(
    objective: Objective, finished: Sequence[Trial], trial: Trial, generator: np.random.Generator
) -> tuple[float, Array]:
    """Median and draws of one objective, from finished trials whose curve is as long as this trial's, or longer."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import BayesianRidge
    from sklearn.preprocessing import StandardScaler

    rungs = len(curve(trial)) if objective.kind == "trained" else 0
    counted = sorted(trial.scores)
    rows = np.array([_features(other, objective, rungs=rungs, counted=counted) for other in [*finished, trial]])
    base = rows[:, rungs - 1] if rungs else np.zeros(len(rows))
    ends = _scale(objective, [other.scores[objective.name] for other in finished])
    scaler = StandardScaler().fit(rows[:-1])
    model = BayesianRidge()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(scaler.transform(rows[:-1]), ends - base[:-1])
    gain, spread = model.predict(scaler.transform(rows[-1:]), return_std=True)
    middle = base[-1] + gain[0]
    drawn = middle + spread[0] * generator.standard_t(len(finished) - 2, DRAWS)
    return float(_unscale(objective, np.array([middle]))[0]), _unscale(objective, drawn)


def _features(trial: Trial, objective: Objective, *, rungs: int, counted: Sequence[str]) -> list[float]:
    """An objective's value at the first rungs, then the logarithms of what is counted."""
    values = [float(step[objective.name]) for step in curve(trial)[:rungs]]
    return [*_scale(objective, values), *(float(np.log(max(trial.scores[name], 1e-9))) for name in counted)]


def _scale(objective: Objective, values: Sequence[float]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if objective.unit != "fraction":
        return np.log(np.maximum(array, 1e-9))
    inside = 0.0005 + 0.999 * array  # 0 and 1 have no log-odds
    return np.log(inside / (1 - inside))


def _unscale(objective: Objective, values: Array) -> Array:
    if objective.unit != "fraction":
        return np.exp(values)
    return (1 / (1 + np.exp(-values)) - 0.0005) / 0.999
