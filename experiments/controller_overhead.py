"""What the controller itself costs a trial: everything but training and timing, in process, with instant evaluations.

python -m experiments.controller_overhead [--trials 1000] [--algorithm nsga2] [--space pix]
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from pathlib import Path

from evaluators.counts import count
from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome
from evaluators.objective import OBJECTIVES
from nas.algorithms.catalogue import ALGORITHMS
from nas.archive import Archive
from nas.loop import Loop
from nas.members import frame_of
from nas.plan import Counts
from nas.problem import Problem, Trial
from nas.run import RunFolder
from nas.workers.in_process import InProcess
from search_spaces.catalogue import SPACES


class Instant:
    """Answers at once with an accuracy drawn from the trial's seed."""

    def run(self, evaluation: Evaluation) -> Outcome:
        """A score without training."""
        draw = int.from_bytes(hashlib.sha256(str(evaluation.seed).encode()).digest()[:4], "big") / 2**32
        return Outcome(
            evaluation.number, evaluation.phase, scores={"accuracy": draw}, details={"seconds": {"total": 0.0}}
        )


def main() -> None:
    """Prints milliseconds a trial over the whole run and for each fifth of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--algorithm", default="nsga2")
    parser.add_argument("--space", default="pix")
    options = parser.parse_args()
    space = SPACES[options.space](channels=1, resolution=32, classes=10)
    objectives = (OBJECTIVES["accuracy"], OBJECTIVES["macs"])
    problem = Problem(space, objectives, (), Counts(space, count))
    ends: list[float] = []

    def note(trial: Trial | None) -> None:
        if trial is not None and trial.state == "finished":
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        frame = frame_of(problem, chance=0.1)
        archive = Archive.create(
            folder, space=space, objectives=objectives, limits=(), recipe={"name": "stub"}, frame=frame
        )
        loop = Loop(
            problem=problem,
            algorithm=ALGORITHMS[options.algorithm](problem, seed=0),
            workers=InProcess(EvaluatorSpec("experiments.controller_overhead:Instant", {})),
            archive=archive,
            folder=folder,
            recipe={"name": "stub"},
            seed=0,
            budget=options.trials,
            on_change=note,
        )
        start = time.perf_counter()
        loop.run()
    took = [1e3 * (b - a) for a, b in zip([start, *ends], ends, strict=False)]
    fifth = max(1, len(took) // 5)
    parts = "  ".join(f"{statistics.fmean(took[i : i + fifth]):.1f}" for i in range(0, len(took), fifth))
    print(
        f"{options.algorithm} on {options.space}, {len(took)} trials: {statistics.fmean(took):.1f} ms a trial (median {statistics.median(took):.1f})"
    )
    print(f"mean of each fifth in ms: {parts}")


if __name__ == "__main__":
    main()
