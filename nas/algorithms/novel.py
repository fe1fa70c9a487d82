"""New genotypes: allowed by the limits that can be counted, never known before; it knows no model and no selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np

from nas.algorithms.genes import Genes, GeneTable, as_tuples
from nas.algorithms.variation import mutate
from nas.problem import Problem
from search_spaces.space import Genotype

ENUMERABLE = 50_000
ROUNDS = 30

Draw = Callable[[np.random.Generator, int], Genes]


class Novelty:
    """Finds new, allowed genotypes from any source of candidates, with fallbacks until the space is used up."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.table = GeneTable(problem.space)
        self._counted = [limit for limit in problem.limits]

    def find(
        self, n: int, *, known: set[Genotype], generator: np.random.Generator, draw: Draw | None = None
    ) -> list[Genotype]:
        """Up to n distinct genotypes outside of `known`: drawn ones, then uniform, then searched or enumerated."""
        found: dict[Genotype, None] = {}
        draws = ([draw] if draw is not None else []) + [self.table.sample]
        for source in draws:
            for size in (2 * n + 6, 4 * n + 24, 8 * n + 96):
                if len(found) < n:
                    self._keep(as_tuples(source(generator, size)), n, found, known)
        if len(found) < n:
            self._keep(self._rest(generator, known, found), n, found, known)
        return list(found)

    def _keep(self, candidates: Iterable[Genotype], n: int, found: dict[Genotype, None], known: set[Genotype]) -> None:
        for genotype in candidates:
            if len(found) >= n:
                return
            if genotype not in known and genotype not in found and self.problem.allows(genotype):
                found[genotype] = None

    def _rest(
        self, generator: np.random.Generator, known: set[Genotype], found: dict[Genotype, None]
    ) -> Iterable[Genotype]:
        if self.problem.space.size <= ENUMERABLE:
            left = [g for g in islice(self.table.each(), ENUMERABLE) if g not in known and g not in found]
            return [left[i] for i in generator.permutation(len(left))]
        return self._descend(generator)

    def _descend(self, generator: np.random.Generator) -> Iterable[Genotype]:
        """Random descent on the violation of counted limits: finds the corner of a large space that a limit leaves."""
        parents = self.table.sample(generator, 16)
        for _ in range(ROUNDS):
            children = self.table.canonical(mutate(parents, sizes=self.table.sizes, rate=0.1, generator=generator))
            both = np.unique(np.concatenate([parents, children]), axis=0)
            excess = np.array([self.excess(genotype) for genotype in as_tuples(both)])
            yield from as_tuples(both[excess == 0])
            parents = both[np.lexsort((generator.random(len(both)), excess))[:16]]

    def excess(self, genotype: Genotype) -> float:
        """By how much the counted scores of a genotype break limits, each in units of its bound."""
        scores = self.problem.count(genotype)
        return sum(
            abs(scores[limit.name] - limit.value) / max(abs(limit.value), 1e-12)
            for limit in self._counted
            if not limit.holds(scores)
        )
