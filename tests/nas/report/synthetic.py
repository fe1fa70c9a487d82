"""Archives without a search: architectures of the mixed space with made-up scores, replicates and failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.objective import OBJECTIVES, Objective
from nas.archive import Archive
from nas.failures import KINDS
from nas.members import Member, front, hypervolume
from nas.problem import Proposal, Trial
from nas.run import FORMAT, RunFolder
from search_spaces.mixed import mixed

FRAME = {"accuracy": [0.1, 1.0], "macs": [4e7, 3e5]}
GAINS = {"pix": 0.02, "conv1x1": 0.0, "shuffle": -0.01, "mux": 0.012}


@dataclass
class Synthetic:
    """What a page reads of an archive."""

    trials: list[Trial]
    objectives: tuple[Objective, ...]
    limits: tuple[Any, ...] = ()
    recipe: dict[str, Any] = field(default_factory=lambda: {"name": "proxy", "epochs": 4})
    frame: dict[str, list[float]] = field(default_factory=lambda: dict(FRAME))

    def count(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    def front(self) -> list[Member]:
        return front(self.trials, self.objectives)

    def hypervolume(self) -> float | None:
        return hypervolume(self.trials, self.objectives, frame=self.frame)


def synthetic(
    n: int, *, objectives: str = "accuracy,macs,params", failed: float = 0.06, replicates: int = 0, seed: int = 0
) -> Synthetic:
    """n trials in order, of which a share failed, and then replicates of the first finished ones."""
    generator = np.random.default_rng(seed)
    space = mixed()
    trials: list[Trial] = []
    seen: set[str] = set()
    while len(trials) < n:
        architecture = space.decode(space.sample(generator))
        if architecture.key in seen:
            continue
        seen.add(architecture.key)
        trial = _trial(len(trials), architecture.key, architecture.to_json(), generator)
        if generator.random() < failed:
            kind = list(KINDS)[int(generator.integers(len(KINDS)))]
            trial = Trial(
                **{**vars(trial), "state": "failed", "failure": kind, "message": f"made up: {kind}", "scores": {}}
            )
        trials.append(trial)
    for number, first in enumerate([t for t in trials if t.state == "finished"][:replicates], len(trials)):
        scores = {**first.scores, "accuracy": first.scores["accuracy"] + float(generator.normal(0, 0.006))}
        trials.append(Trial(**{**vars(first), "number": number, "replicate": 1, "scores": scores}))
    return Synthetic(trials, tuple(OBJECTIVES[name] for name in objectives.split(",")))


def _trial(number: int, key: str, architecture: dict[str, Any], generator: np.random.Generator) -> Trial:
    size = architecture["input"]["resolution"]
    macs, params, gain = [9.0 * size**2 * architecture["stem"]["width"]], 2000.0, 0.0
    for stage in architecture["stages"]:
        size = -(-size // stage["stride"])
        weights = (
            stage["depth"] * stage["width"] ** 2 * (1.5 if stage["mixer"] == "conv1x1" else 1.0) + 60 * stage["width"]
        )
        params += weights
        macs.append(weights * size**2)
        gain += GAINS[stage["mixer"]]
    macs.append(1000.0)
    accuracy = 0.95 - 0.9 * (sum(macs) / 1e4) ** -0.6 + 0.4 * gain - abs(generator.normal(0, 0.015))
    latency = 0.4 + sum(macs) / 4e6 + abs(generator.normal(0, 0.15))
    return Trial(
        number=number,
        genotype=(),
        key=key,
        architecture=architecture,
        seed=number,
        state="finished",
        scores={
            "params": round(params),
            "macs": round(sum(macs)),
            "accuracy": float(np.clip(accuracy, 0.1, 0.995)),
            "latency_ms": float(latency),
        },
        details={
            "seconds": {"total": float(20 + 10 * generator.random()), "time": 0.6},
            "latency": {"lower_ms": latency * 0.94, "upper_ms": latency * 1.09, "repeats": 400},
            "macs_by_stage": [round(part) for part in macs],
        },
    )


def write_run(path: Path, archive: Synthetic, *, upto: int | None = None) -> Archive:
    """The same trials as a run folder that commands read; genotypes are made up, since reading needs none."""
    import json

    space = mixed()
    path.mkdir(parents=True)
    folder = RunFolder(path)
    folder.environment.write_text(json.dumps({"format": FORMAT}))
    written = Archive.create(
        folder, space=space, objectives=archive.objectives, limits=(), recipe=archive.recipe, frame=archive.frame
    )
    for trial in archive.trials[:upto]:
        add_trial(written, trial)
    return written


def add_trial(written: Archive, trial: Trial) -> None:
    """One trial more, as a search writes it."""
    genotype = mixed().sample(np.random.default_rng(trial.seed))
    started = written.start(
        Proposal(genotype, trial.replicate), architecture=trial.architecture, key=trial.key, scores={}, seed=trial.seed
    )
    if trial.state == "failed":
        written.fail(started.number, kind=trial.failure or "error", message=trial.message)
    else:
        written.measured(started.number, scores=trial.scores, details=trial.details)
        written.finish(started.number)
