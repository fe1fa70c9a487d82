"""Uniform sampling without repeats: the yardstick that every other algorithm has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.algorithms.history import History
from nas.algorithms.novel import Novelty
from nas.problem import Archive, Problem, Proposal, Trial


class RandomSearch:
    """Proposes allowed architectures that were never asked before, uniformly over the genes."""

    def __init__(self, problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> None:
        self._seed = seed
        self._history = History(problem, warm=warm)
        self._novelty = Novelty(problem)

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer when the space is used up."""
        past = self._history.read(archive.trials)
        generator = np.random.default_rng([self._seed, past.asked])
        return [Proposal(genotype) for genotype in self._novelty.find(n, known=past.known, generator=generator)]
