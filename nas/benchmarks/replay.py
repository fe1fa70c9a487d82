"""One algorithm's run on one benchmark with one seed: what it evaluated, in order, and how long it thought."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from nas.algorithms.catalogue import ALGORITHMS
from nas.benchmarks.tabular import Benchmark
from nas.problem import Proposal, Trial
from search_spaces.space import Genotype


@dataclass(frozen=True)
class Replay:
    """Genotypes in the order of their evaluation, and the seconds in which they were proposed."""

    genotypes: tuple[Genotype, ...]
    seconds: float

    @property
    def repeated(self) -> float:
        """Share of evaluations of what had been evaluated before."""
        return 1 - len(set(self.genotypes)) / max(len(self.genotypes), 1)


class BudgetSpent(Exception):  # noqa: N818 - a signal, no error
    """Ends a library's own loop."""


class Recorder:
    """Evaluates up to a budget, and measures the time that passes between evaluations."""

    def __init__(self, benchmark: Benchmark, *, evaluations: int, seed: int) -> None:
        self._benchmark = benchmark
        self._budget = evaluations
        self._seed = seed
        self._visits: Counter[Genotype] = Counter()
        self._genotypes: list[Genotype] = []
        self._seconds = 0.0
        self._since = time.perf_counter()

    def evaluate(self, genotype: Genotype) -> dict[str, float] | None:
        """Scores by objective, None for a failed evaluation.

        Raises:
            BudgetSpent: the budget was used up before.
        """
        self._seconds += time.perf_counter() - self._since
        if len(self._genotypes) >= self._budget:
            raise BudgetSpent
        scores = self._benchmark.measure(genotype, visit=self._visits[genotype], seed=self._seed)
        self._visits[genotype] += 1
        self._genotypes.append(genotype)
        self._since = time.perf_counter()
        return scores

    def replay(self) -> Replay:
        """What was recorded."""
        return Replay(tuple(self._genotypes), self._seconds)


Baseline = Callable[[Benchmark, Callable[[Genotype], "dict[str, float] | None"], int], None]
"""(benchmark, evaluate, seed): runs a library's own loop until `evaluate` raises BudgetSpent."""


@dataclass
class _Archive:
    trials: list[Trial]


def replay(benchmark: Benchmark, name: str, *, evaluations: int, seed: int, workers: int = 1) -> Replay:
    """Runs an algorithm of the catalogue, or a baseline, for a number of evaluations or until the space is used up."""
    from nas.benchmarks.baselines import BASELINES

    if name in BASELINES:
        recorder = Recorder(benchmark, evaluations=evaluations, seed=seed)
        try:
            BASELINES[name](benchmark, recorder.evaluate, seed)
        except BudgetSpent:
            pass
        return recorder.replay()
    return _own(benchmark, name, evaluations=evaluations, seed=seed, workers=workers)


def _own(benchmark: Benchmark, name: str, *, evaluations: int, seed: int, workers: int) -> Replay:
    """`workers` are always busy and finish in the order in which they started."""
    algorithm = ALGORITHMS[name](benchmark.problem, seed=seed)
    recorder = Recorder(benchmark, evaluations=evaluations, seed=seed)
    archive, finished = _Archive([]), 0
    seconds = 0.0
    while finished < evaluations:
        start = time.perf_counter()
        room = min(workers, evaluations) - (len(archive.trials) - finished)
        proposals = algorithm.ask(archive, min(room, evaluations - len(archive.trials)))
        seconds += time.perf_counter() - start
        archive.trials.extend(
            _running(benchmark, proposal, number)
            for number, proposal in enumerate(proposals, start=len(archive.trials))
        )
        if finished == len(archive.trials):
            break
        trial = archive.trials[finished]
        scores = recorder.evaluate(trial.genotype)
        archive.trials[finished] = (
            replace(trial, state="failed", failure="diverged")
            if scores is None
            else replace(trial, state="finished", scores={**trial.scores, **scores})
        )
        finished += 1
    return replace(recorder.replay(), seconds=seconds)


def _running(benchmark: Benchmark, proposal: Proposal, number: int) -> Trial:
    architecture = benchmark.problem.space.decode(proposal.genotype)
    return Trial(
        number=number,
        genotype=proposal.genotype,
        key=architecture.key,
        architecture=architecture.to_json(),
        seed=proposal.replicate,
        state="running",
        scores=benchmark.problem.count(proposal.genotype),
        replicate=proposal.replicate,
    )
