"""Whether a trial that has come to a rung is worth training on: a forecast of its final scores against the front; it knows no loop.

A learning-curve model is fitted to the trials that were trained to the end: from the accuracies at the rungs so far to the last one,
all as log-odds, in which gains and errors are alike near 0 and near 1, and from the counted objectives, as logarithms: at the same
first accuracy a larger network often ends higher. The model is Bayesian linear regression (MacKay 1992, "Bayesian interpolation"),
which with few or noisy examples falls back to the mean; its forecast is a Student t distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluators.objective import Objective
from nas.algorithms.improvement import improvement
from nas.members import front, in_frame
from nas.pareto import hypervolume
from nas.problem import Problem, Trial

EXAMPLES = 6
DRAWS = 512
NOTICED = 0.0005
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What is expected of a trial: the `probability` that it raises the hypervolume by a two-thousandth or more, and the median forecast
    of all its `scores`.
    """

    probability: float
    scores: Mapping[str, float]


def forecast(
    problem: Problem, trials: Sequence[Trial], trial: Trial, *, frame: Mapping[str, Sequence[float]]
) -> Verdict | None:
    """What a trial that has come to a rung is expected to end with; `None` while too few trials were trained to the end.

    The hypervolume is that of `nas.members.hypervolume`. Who would only slip in between two members of the front does not raise it
    noticeably: near a front that fits closely, and with noisy accuracies, nearly everybody may do that.
    """
    finished = [other for other in trials if other.state == "finished" and len(curve(other)) >= len(curve(trial))]
    if len(finished) < EXAMPLES:
        return None
    generator = np.random.default_rng(trial.seed)
    draws, scores = {}, dict(trial.scores)
    for objective in problem.objectives:
        if objective.name in trial.scores:
            draws[objective.name] = np.full(DRAWS, trial.scores[objective.name])
        else:
            beside = [other.name for other in problem.objectives if other.kind == "counted"]
            scores[objective.name], draws[objective.name] = _forecast(objective, finished, trial, beside, generator)
    rows = [{name: float(values[i]) for name, values in draws.items()} for i in range(DRAWS)]
    leading = [member.scores for member in front(trials, problem.objectives)]
    points, best = (in_frame(some, trials, problem.objectives, frame=frame) for some in (rows, leading))
    corner = np.ones(len(problem.objectives))
    gains = improvement(points, best, corner)
    return Verdict(float((gains >= NOTICED * hypervolume(best, corner)).mean()), scores)


def curve(trial: Trial) -> list[Mapping[str, float]]:
    """The trained scores at each rung that a trial has come to, each with its `epoch`."""
    return list(trial.details.get("curve", []))


def epochs_trained(trials: Iterable[Trial], epochs: int) -> int:
    """Epochs that trials have taken together: `epochs` if finished, otherwise those to the last rung they came to."""
    return sum(
        epochs if trial.state == "finished" else int(curve(trial)[-1]["epoch"]) if curve(trial) else 0
        for trial in trials
    )


def _forecast(
    objective: Objective,
    finished: Sequence[Trial],
    trial: Trial,
    beside: Sequence[str],
    generator: np.random.Generator,
) -> tuple[float, Array]:
    """Median and draws of one objective: what is trained from the curve so far and the objectives beside it, what is timed from all
    that is counted.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import BayesianRidge
    from sklearn.preprocessing import StandardScaler

    rungs, everyone = len(curve(trial)), (*finished, trial)
    if objective.kind == "trained":
        values = [[float(step[objective.name]) for step in curve(other)[:rungs]] for other in everyone]
        rows = np.hstack([_scale(objective, values), _logs(everyone, beside)])
    else:
        rows = _logs(everyone, sorted(trial.scores))
    ends = _scale(objective, [other.scores[objective.name] for other in finished])
    scaler = StandardScaler().fit(rows[:-1])
    model = BayesianRidge()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(scaler.transform(rows[:-1]), ends)
    (middle,), (spread,) = model.predict(scaler.transform(rows[-1:]), return_std=True)
    drawn = middle + spread * generator.standard_t(len(finished) - 2, DRAWS)
    ends = _unscale(objective, np.concatenate([[middle], drawn]))
    return float(ends[0]), ends[1:]


def _logs(trials: Sequence[Trial], names: Sequence[str]) -> Array:
    return np.log([[max(trial.scores[name], 1e-9) for name in names] for trial in trials]).reshape(len(trials), -1)


def _scale(objective: Objective, values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if objective.unit != "fraction":
        return np.log(np.maximum(array, 1e-9))
    inside = 0.0005 + 0.999 * array  # 0 and 1 have no log-odds
    return np.log(inside / (1 - inside))


def _unscale(objective: Objective, values: Array) -> Array:
    if objective.unit != "fraction":
        return np.asarray(np.exp(values))
    return np.asarray((1 / (1 + np.exp(-values)) - 0.0005) / 0.999)
