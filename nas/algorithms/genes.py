"""Genotypes of a space as integer arrays: canonical form, sampling, enumeration; it knows no objective."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import Genotype, Space

Genes = NDArray[np.int64]


class GeneTable:
    """The options of every gene of a space, and the conditions under which genes count, laid out for arrays."""

    def __init__(self, space: Space[Any]) -> None:
        self.sizes: Genes = np.array([len(choice.options) for choice in space.choices], dtype=np.int64)
        position = {choice.name: i for i, choice in enumerate(space.choices)}
        self._conditions: list[tuple[int, int, NDArray[np.bool_]]] = []
        for i, choice in enumerate(space.choices):
            if choice.when is not None:
                parent = position[choice.when[0]]
                options = np.array([option in choice.when[1] for option in space.choices[parent].options])
                self._conditions.append((i, parent, options))

    def active(self, genes: Genes) -> NDArray[np.bool_]:
        """Which genes count: (n, genes) -> (n, genes)."""
        active = np.ones(genes.shape, dtype=np.bool_)
        for child, parent, options in self._conditions:
            active[:, child] = active[:, parent] & options[genes[:, parent]]
        return active

    def canonical(self, genes: Genes) -> Genes:
        """The same architectures with every inactive gene at 0."""
        return np.where(self.active(genes), genes, 0) if self._conditions else genes

    def sample(self, generator: np.random.Generator, n: int) -> Genes:
        """Canonical genotypes (n, genes), each gene drawn uniformly."""
        return self.canonical(generator.integers(self.sizes, size=(n, len(self.sizes))))

    def each(self) -> Iterator[Genotype]:
        """Every canonical genotype once, in lexicographic order."""
        conditions = {child: (parent, options) for child, parent, options in self._conditions}

        def extend(genes: list[int], active: list[bool]) -> Iterator[Genotype]:
            i = len(genes)
            if i == len(self.sizes):
                yield tuple(genes)
                return
            parent, options = conditions.get(i, (-1, None))
            counts = options is None or (active[parent] and bool(options[genes[parent]]))
            for gene in range(int(self.sizes[i]) if counts else 1):
                yield from extend([*genes, gene], [*active, counts])

        return extend([], [])


def as_tuples(genes: Genes) -> list[Genotype]:
    """Rows as genotypes, the form in which sets and spaces take them."""
    return list(map(tuple, genes.tolist()))
