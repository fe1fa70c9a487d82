"""Judges the trials of a search that stopped nothing as if each came to its rungs now, by several rules.

    python -m experiments.early_stopping.replay RUN

The order of the trials is that of the run, so that only the rules differ. Below the table: how far a forecast at the last rung errs on
a trial that was left out, with the curve alone and with what is counted beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from nas import open_run, promotion
from nas.archive import Archive
from nas.members import hypervolume
from nas.problem import Problem, Trial
from search_spaces.catalogue import SPACES

ENTERS = 1e-12  # any gain at all: a member of the front


def main() -> None:
    archive = open_run(sys.argv[1]).archive
    print("forecast from | raises hypervolume by | stopped below | epochs | of the hypervolume | finished")
    for alone in (True, False):
        for noticed in (ENTERS, promotion.NOTICED, 0.001, 0.002):
            for below in (0.05, 0.1, 0.2):
                epochs, volume, finished = judge(archive, noticed=noticed, below=below, alone=alone)
                words = "curve alone" if alone else "curve, MACs"
                print(
                    f"{words:13} | {noticed:21.2g} | {below:13g} | {epochs:6.2f} | {volume:18.4f} | {finished:8d}",
                    flush=True,
                )
    print(
        "error of the forecast in log-odds:",
        ", ".join(f"{name} {error:.3f}" for name, error in errors(archive).items()),
    )


def judge(archive: Archive, *, noticed: float, below: float, alone: bool) -> tuple[float, float, int]:
    """The share of epochs that a rule trains, the share of the hypervolume that it keeps, and the trials that it trains to the end.

    `alone` forecasts from the curve without the objectives that are known exactly.
    """
    problem = Problem(SPACES["pix"](), archive.objectives, (), lambda genotype: {})
    rungs, epochs = archive.recipe["rungs"], archive.recipe["epochs"]
    done: list[Trial] = []
    spent = 0
    with (
        patch.object(promotion, "NOTICED", noticed),
        patch.object(promotion, "_logs", _nothing if alone else promotion._logs),
    ):
        for trial in archive.having("finished"):
            for k, rung in enumerate(rungs):
                verdict = promotion.forecast(problem, done, at_rung(trial, archive, k + 1), frame=archive.frame)
                if verdict is not None and verdict.probability < below:
                    spent += rung
                    break
            else:
                spent += epochs
                done.append(trial)
    whole, kept = (
        hypervolume(some, archive.objectives, frame=archive.frame) or 0.0 for some in (archive.having("finished"), done)
    )
    return spent / (epochs * archive.count("finished")), kept / whole, len(done)


def _nothing(trials: Sequence[Trial], names: Sequence[str]) -> NDArray[np.float64]:
    return np.zeros((len(trials), 0))


def at_rung(trial: Trial, archive: Archive, rungs: int) -> Trial:
    """The trial as it was when it had come to so many rungs."""
    trained = {objective.name for objective in archive.objectives if objective.kind == "trained"}
    return replace(
        trial,
        state="running",
        scores={name: score for name, score in trial.scores.items() if name not in trained},
        details={"curve": promotion.curve(trial)[:rungs]},
    )


def errors(archive: Archive) -> dict[str, float]:
    """Root mean square errors of left-out trials, and the noise that validation images leave, as log-odds."""
    from sklearn.linear_model import BayesianRidge
    from sklearn.model_selection import LeaveOneOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trials, accuracy = archive.having("finished"), archive.objectives[0]
    ends = promotion._scale(accuracy, [trial.scores["accuracy"] for trial in trials])
    curves = promotion._scale(accuracy, [[step["accuracy"] for step in promotion.curve(trial)] for trial in trials])
    macs = np.log([[trial.scores["macs"]] for trial in trials])
    both = np.hstack([macs, np.log([[trial.scores["params"]] for trial in trials])])
    model = make_pipeline(StandardScaler(), BayesianRidge())
    found = {}
    ways = {
        "curve": curves,
        "curve, MACs": np.hstack([curves, macs]),
        "curve, MACs, parameters": np.hstack([curves, both]),
    }
    for name, rows in {**ways, "MACs": macs}.items():
        left_out = cross_val_predict(model, rows, ends, cv=LeaveOneOut())
        found[name] = float(np.sqrt(np.mean((left_out - ends) ** 2)))
    return found


if __name__ == "__main__":
    main()
