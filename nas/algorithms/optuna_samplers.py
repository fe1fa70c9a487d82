"""Optuna's samplers behind `ask(archive, n)`: a study in memory is filled from the archive, then asked; repeats are asked again.

The only door to Optuna's samplers. TPE: Ozaki et al. 2022, multi-objective tree-structured Parzen estimator; GP: Optuna's
Gaussian process with log expected hypervolume improvement.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.algorithms.genes import Genes, GeneTable
from nas.algorithms.history import History, Snapshot
from nas.algorithms.novel import Novelty
from nas.algorithms.variation import mutate
from nas.problem import Archive, Problem, Proposal, Trial
from search_spaces.space import Genotype

if TYPE_CHECKING:
    import optuna

ATTEMPTS = 4
MakeSampler = Callable[[int], "optuna.samplers.BaseSampler"]


class OptunaSampler:
    """One of Optuna's samplers; genes are categorical parameters, an inactive one is no parameter of its trial."""

    def __init__(
        self, problem: Problem, *, seed: int, sampler: MakeSampler, most_trials: int, warm: Sequence[Trial] = ()
    ) -> None:
        self._problem = problem
        self._seed = seed
        self._make = sampler
        self._most = most_trials
        self._history = History(problem, warm=warm)
        self._novelty = Novelty(problem)
        self._table = GeneTable(problem.space)

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer when the space is used up. A repeat is replaced by a new neighbour of it."""
        import optuna

        past = self._history.read(archive.trials)
        generator = np.random.default_rng([self._seed, past.asked])
        found: list[Genotype] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = self._study(past, seed=int(generator.integers(2**31)))
            for _ in range(n):
                fresh = self._fresh(study, past.known | set(found), generator)
                if fresh is None:
                    break
                found.append(fresh)
        return [Proposal(genotype) for genotype in found]

    def _fresh(self, study: optuna.Study, known: set[Genotype], generator: np.random.Generator) -> Genotype | None:
        asked = (0,) * len(self._table.sizes)
        for _ in range(ATTEMPTS):
            asked = self._suggest(study)
            if asked not in known and self._problem.allows(asked):
                return asked

        def near(generator: np.random.Generator, size: int) -> Genes:
            return self._table.canonical(
                mutate(np.tile(asked, (size, 1)), sizes=self._table.sizes, generator=generator)
            )

        return next(iter(self._novelty.find(1, known=known, generator=generator, draw=near)), None)

    def _suggest(self, study: optuna.Study) -> Genotype:
        """What the sampler wants next; the trial stays open, so that the sampler knows that it is pending."""
        trial = study.ask()
        chosen: dict[str, int] = {}
        genes: list[int] = []
        for choice in self._problem.space.choices:
            active = choice.when is None or _holds(choice.when, chosen, self._problem)
            gene = trial.suggest_categorical(choice.name, list(range(len(choice.options)))) if active else 0
            if active:
                chosen[choice.name] = gene
            genes.append(gene)
        return tuple(genes)

    def _study(self, past: Snapshot, *, seed: int) -> optuna.Study:
        """A study of the finished trials, minimised, and the running ones; the best and latest where there are very many."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        minimise = optuna.study.StudyDirection.MINIMIZE
        study = optuna.create_study(
            directions=[minimise] * past.points.shape[1], sampler=self._make(seed), study_name="archive"
        )
        kept = np.flatnonzero(past.violation == 0)
        rows = (kept if len(kept) else np.arange(len(past.points)))[-self._most :]
        study.add_trials(
            [self._trial(past.genes[row], list(map(float, past.points[row]))) for row in rows]
            + [self._trial(genes, None) for genes in past.pending]
        )
        return study

    def _trial(self, genes: Genes, values: list[float] | None) -> optuna.trial.FrozenTrial:
        from optuna.distributions import BaseDistribution, CategoricalDistribution
        from optuna.trial import TrialState, create_trial

        active = self._table.active(genes[None])[0]
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for choice, gene, counts in zip(self._problem.space.choices, genes.tolist(), active, strict=True):
            if counts:
                params[choice.name] = gene
                distributions[choice.name] = CategoricalDistribution(tuple(range(len(choice.options))))
        state = TrialState.RUNNING if values is None else TrialState.COMPLETE
        return create_trial(state=state, params=params, distributions=distributions, values=values)


def _holds(when: tuple[str, tuple[Any, ...]], chosen: dict[str, int], problem: Problem) -> bool:
    parent, options = when
    if parent not in chosen:
        return False
    choice = next(choice for choice in problem.space.choices if choice.name == parent)
    return choice.options[chosen[parent]] in options


def tpe(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> OptunaSampler:
    """Multivariate TPE that takes running trials for bad ones, so that parallel asks differ."""

    def sampler(seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    return OptunaSampler(problem, seed=seed, sampler=sampler, most_trials=1_000, warm=warm)


def gp(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> OptunaSampler:
    """Optuna's Gaussian process, on the latest 200 trials: it takes seconds a proposal beyond."""

    def sampler(seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        return optuna.samplers.GPSampler(seed=seed)

    return OptunaSampler(problem, seed=seed, sampler=sampler, most_trials=200, warm=warm)
