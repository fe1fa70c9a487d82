"""Evolution without generations: parents are selected from everything that has finished, anew at each ask.

What tells NSGA-II, NSGA-III and MOEA/D apart is one callable that selects pairs of parents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.genes import Genes
from nas.algorithms.history import History, Snapshot
from nas.algorithms.novel import Novelty
from nas.algorithms.skyband import Skyband
from nas.algorithms.variation import cross, mutate
from nas.problem import Archive, Problem, Proposal, Trial

Select = Callable[[NDArray[np.float64], int, np.random.Generator], NDArray[np.int64]]
"""(points (k, m), pairs, generator) -> rows of parents (pairs, 2); k >= 1, smaller is better.

Points that `population` or more others dominate are left out beforehand: peeling fronts off until they hold a population never meets them.
"""


class Evolution:
    """Children of selected pairs by uniform crossover and mutation, after `population` uniform samples."""

    def __init__(
        self, problem: Problem, *, seed: int, select: Select, population: int = 20, warm: Sequence[Trial] = ()
    ) -> None:
        self._seed = seed
        self._select = select
        self._population = population
        self._history = History(problem, warm=warm)
        self._novelty = Novelty(problem)
        self._skyband = Skyband(population)

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer when the space is used up."""
        past = self._history.read(archive.trials)
        generator = np.random.default_rng([self._seed, past.asked])
        eligible = self._eligible(past)
        young = len(past.known) < self._population or len(eligible) < 2
        fit = eligible[self._skyband.rows(past.ids[eligible], past.points[eligible])]
        points, ids = past.points[fit], past.ids[fit]

        def draw(generator: np.random.Generator, size: int) -> Genes:
            pairs = ids[self._select(points, size, generator)]
            mothers, fathers = past.genes_by_id[pairs[:, 0]], past.genes_by_id[pairs[:, 1]]
            children = cross(mothers, fathers, generator=generator)
            table = self._novelty.table
            return table.canonical(mutate(children, sizes=table.sizes, generator=generator, least=0))

        found = self._novelty.find(n, known=past.known, generator=generator, draw=None if young else draw)
        return [Proposal(genotype) for genotype in found]

    def _eligible(self, past: Snapshot) -> NDArray[np.int64]:
        """Those that keep every limit; while they are few, also those that break them least (Deb 2000)."""
        kept = np.flatnonzero(past.violation == 0)
        if len(kept) >= self._population:
            return kept
        return np.sort(np.argsort(past.violation, kind="stable")[: self._population])
