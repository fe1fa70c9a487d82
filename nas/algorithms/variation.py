"""Crossover and mutation of integer genes, many at once; they know no space beyond its numbers of options."""

from __future__ import annotations

import numpy as np

from nas.algorithms.genes import Genes


def cross(mothers: Genes, fathers: Genes, *, generator: np.random.Generator) -> Genes:
    """Uniform crossover: each gene from either parent (Syswerda 1989): (n, genes), (n, genes) -> (n, genes)."""
    return np.where(generator.random(mothers.shape) < 0.5, mothers, fathers)


def mutate(
    genes: Genes, *, sizes: Genes, generator: np.random.Generator, rate: float | None = None, least: int = 1
) -> Genes:
    """Each gene takes another option with probability `rate`, by default 1 / genes, and at least `least` (0 or 1) do.

    Half of the new options are neighbours in order (options are often sizes), half are any other.
    """
    n, width = genes.shape
    free = np.flatnonzero(sizes > 1)
    if len(free) == 0:
        return genes.copy()
    hit = generator.random((n, width)) < (1 / len(free) if rate is None else rate)
    hit[np.arange(n), generator.choice(free, n)] |= least > 0
    hit &= sizes > 1
    other = (genes + 1 + generator.integers(np.maximum(sizes - 1, 1), size=(n, width))) % sizes
    step = genes + generator.choice([-1, 1], (n, width))
    step = np.where(step < 0, np.minimum(1, sizes - 1), np.where(step >= sizes, np.maximum(sizes - 2, 0), step))
    return np.where(hit, np.where(generator.random((n, width)) < 0.5, other, step), genes)
