"""A space, problems of any kind and a run without workers, for every suite over algorithms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evaluators.objective import Objective
from nas.problem import Algorithm, Limit, Problem, Proposal, Trial
from search_spaces.architecture import key_of
from search_spaces.space import Choice, Genotype, Space

ERROR = Objective("error", "min", "%", "trained")
MACS = Objective("macs", "min", "multiply-adds", "counted")
PARAMS = Objective("params", "min", "parameters", "counted")
LATENCY = Objective("latency_ms", "min", "ms", "timed")
DEPTH = Objective("depth", "max", "layers", "trained")


@dataclass(frozen=True)
class Toy:
    """An architecture as the values that it was decoded from."""

    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        return key_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return dict(self.values)


def toy_space(genes: int = 6, options: int = 3) -> Space[Toy]:
    """Widths and mixers alternate; one gene depends on the first."""
    choices = [Choice("mixer0", ("pix", "conv", "mux")[:options])]
    choices += [
        Choice(f"width{i}", tuple(8 * 2**k for k in range(options)))
        if i % 2
        else Choice(f"mixer{i}", tuple(f"m{k}" for k in range(options)))
        for i in range(1, genes)
    ]
    if genes > 2:
        choices.append(Choice("ratio", tuple(range(1, options + 1)), when=("mixer0", ("pix",))))
    return Space("toy", tuple(choices), Toy)


def toy_scores(genotype: Genotype, *, seed: int = 0) -> dict[str, float]:
    """More of everything costs more and errs less, with interactions, outliers of cost and a little noise."""
    genes = np.array(genotype, dtype=float)
    weights = np.cos(np.arange(len(genes)) + 1.0) + 1.2
    size = float(genes @ weights)
    noise = np.random.default_rng([seed, *genotype]).normal(0, 0.05)
    return {
        "error": 30 * np.exp(-size / 4) + np.sin(genes[0] * genes[-1]) + noise,
        "macs": 1e6 * float(np.exp(0.5 * size)),
        "params": 1e4 * float(1 + genes @ weights[::-1]),
        "latency_ms": 1 + 0.3 * size + noise,
        "depth": float(genes.sum()) + noise,
    }


def toy_problem(
    space: Space[Any] | None = None,
    *,
    objectives: Sequence[Objective] = (ERROR, MACS),
    limits: Sequence[Limit] = (),
) -> Problem:
    def count(genotype: Genotype) -> Mapping[str, float]:
        scores = toy_scores(genotype)
        return {"macs": scores["macs"], "params": scores["params"]}

    return Problem(space or toy_space(), tuple(objectives), tuple(limits), count)


@dataclass
class Run:
    """An archive in memory."""

    problem: Problem
    trials: list[Trial] = field(default_factory=list)

    def start(self, proposals: Sequence[Proposal], *, seed: int = 0) -> None:
        for proposal in proposals:
            architecture = self.problem.space.decode(proposal.genotype)
            self.trials.append(
                Trial(
                    number=len(self.trials),
                    genotype=proposal.genotype,
                    key=architecture.key,
                    architecture=architecture.to_json(),
                    seed=seed + proposal.replicate,
                    state="running",
                    scores=self.problem.count(proposal.genotype),
                    replicate=proposal.replicate,
                )
            )

    def finish(
        self,
        *,
        fails: Callable[[Trial], bool] = lambda trial: False,
        pruned: Callable[[Trial], bool] = lambda trial: False,
    ) -> None:
        for i, trial in enumerate(self.trials):
            if trial.state == "running":
                scores = toy_scores(trial.genotype, seed=trial.seed)
                if fails(trial):
                    self.trials[i] = replace(trial, state="failed", failure="diverged")
                elif pruned(trial):
                    expected = {"pruned": {"probability": 0.01, "scores": scores}}
                    self.trials[i] = replace(trial, state="pruned", details=expected)
                else:
                    self.trials[i] = replace(trial, state="finished", scores=scores)

    def go(self, algorithm: Algorithm, *, evaluations: int, batch: int = 4) -> None:
        for _ in range(0, evaluations, batch):
            self.start(algorithm.ask(self, batch))
            self.finish()
