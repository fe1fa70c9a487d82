"""Candidates worth a look: new genotypes near the front, near the most promising, and anywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.genes import Genes, as_tuples
from nas.algorithms.novel import Novelty
from nas.algorithms.variation import cross, mutate
from search_spaces.space import Genotype

WHOLE = 1_500
ANYWHERE = 64
AROUND = 192
ROUNDS = 4
CLIMBED = 96
BEST = 16
LAST = 48

Worth = Callable[[Genes], NDArray[np.float64]]


class Pool:
    """Looks for candidates of a problem; a small space is looked through as a whole."""

    def __init__(self, novelty: Novelty) -> None:
        self._novelty = novelty
        self._whole: list[Genotype] | None = None

    def search(
        self, parents: Genes, *, guess: Worth, worth: Worth, known: set[Genotype], generator: np.random.Generator
    ) -> tuple[Genes, NDArray[np.float64]]:
        """Distinct new, allowed candidates (c, genes) with their worth (c,); `parents` (k, genes) is the front so far.

        Hundreds are compared by a cheap `guess` of their worth, the best 48 by their exact worth.
        """
        genes = len(self._novelty.table.sizes)
        problem = self._novelty.problem
        if problem.space.size <= WHOLE:
            if self._whole is None:
                self._whole = [genotype for genotype in self._novelty.table.each() if problem.allows(genotype)]
            fresh = _array([genotype for genotype in self._whole if genotype not in known], genes)
            return fresh, worth(fresh)
        pool = self._climb(parents, guess, known, generator)
        last: list[Genotype] = []
        for genotype in sorted(pool, key=lambda g: -pool[g])[: 3 * LAST]:
            if len(last) < LAST and problem.allows(genotype):
                last.append(genotype)
        if not last:
            last = self._novelty.find(LAST // 4, known=known, generator=generator)
        return _array(last, genes), worth(_array(last, genes))

    def _climb(
        self, parents: Genes, guess: Worth, known: set[Genotype], generator: np.random.Generator
    ) -> dict[Genotype, float]:
        """Genotypes with their guessed worth: uniform ones, children of the front, then children of the best, again and again."""
        table = self._novelty.table
        pool: dict[Genotype, float] = {}

        def add(candidates: Genes) -> None:
            fresh = [g for g in dict.fromkeys(as_tuples(candidates)) if g not in known and g not in pool]
            pool.update(zip(fresh, guess(_array(fresh, len(table.sizes))).tolist(), strict=True))

        add(table.sample(generator, ANYWHERE))
        if len(parents):
            add(self._children(parents, AROUND, generator))
        for _ in range(ROUNDS):
            if pool:
                best = sorted(pool, key=lambda g: -pool[g])[:BEST]
                add(self._children(_array(best, len(table.sizes)), CLIMBED, generator))
        return pool

    def _children(self, parents: Genes, n: int, generator: np.random.Generator) -> Genes:
        """Half mutants of one parent, half of them crossed before."""
        table = self._novelty.table
        mothers = parents[generator.integers(len(parents), size=n)]
        fathers = parents[generator.integers(len(parents), size=n)]
        crossed = cross(mothers, fathers, generator=generator)
        base = np.where(np.arange(n)[:, None] % 2 == 0, mothers, crossed)
        return table.canonical(mutate(base, sizes=table.sizes, generator=generator))


def _array(genotypes: list[Genotype], genes: int) -> Genes:
    return np.array(genotypes, dtype=np.int64).reshape(len(genotypes), genes)
