"""Candidates worth a look: a few hundred new genotypes near the front, near the most promising, and anywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.genes import Genes, as_tuples
from nas.algorithms.novel import Novelty
from nas.algorithms.variation import cross, mutate
from search_spaces.space import Genotype

WHOLE = 1_500
ANYWHERE = 48
AROUND = 128
ROUNDS = 3
CLIMBED = 56
BEST = 12

Worth = Callable[[Genes], NDArray[np.float64]]


class Pool:
    """Looks for candidates of a problem; a small space is looked through as a whole."""

    def __init__(self, novelty: Novelty) -> None:
        self._novelty = novelty
        self._whole: list[Genotype] | None = None

    def search(
        self, parents: Genes, worth: Worth, *, known: set[Genotype], generator: np.random.Generator
    ) -> tuple[Genes, NDArray[np.float64]]:
        """Distinct new, allowed candidates (c, genes) with their worth (c,); `parents` (k, genes) is the front so far."""
        table, space = self._novelty.table, self._novelty.problem.space
        if space.size <= WHOLE:
            if self._whole is None:
                self._whole = [genotype for genotype in table.each() if self._novelty.problem.allows(genotype)]
            genes = _array([genotype for genotype in self._whole if genotype not in known], len(table.sizes))
            return genes, worth(genes)
        pool: dict[Genotype, float] = {}

        def add(candidates: list[Genotype]) -> None:
            fresh = [g for g in dict.fromkeys(candidates) if g not in known and g not in pool]
            fresh = [g for g in fresh if self._novelty.problem.allows(g)]
            pool.update(zip(fresh, worth(_array(fresh, len(table.sizes))).tolist(), strict=True))

        add(self._novelty.find(ANYWHERE, known=known, generator=generator))
        if len(parents):
            add(as_tuples(self._children(parents, AROUND, generator)))
        for _ in range(ROUNDS):
            if pool:
                best = sorted(pool, key=lambda g: -pool[g])[:BEST]
                add(as_tuples(self._children(_array(best, len(table.sizes)), CLIMBED, generator)))
        return _array(list(pool), len(table.sizes)), np.array(list(pool.values()))

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
