"""Exact counts of many genotypes as arrays, each genotype counted once; it knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.genes import Genes, as_tuples
from nas.problem import Problem
from search_spaces.space import Genotype

Array = NDArray[np.float64]


class Counts:
    """All that a problem counts, by name; counted objectives among it are also given as columns, smaller is better."""

    def __init__(self, problem: Problem, *, example: Genotype) -> None:
        self._problem = problem
        self._rows: dict[Genotype, tuple[float, ...]] = {}
        counted = problem.count(example)
        self.names = sorted(counted)
        self.exact = [i for i, objective in enumerate(problem.objectives) if objective.name in counted]
        self.modelled = [i for i, objective in enumerate(problem.objectives) if objective.name not in counted]
        self._columns = [self.names.index(problem.objectives[i].name) for i in self.exact]
        self._signs = np.array([1.0 if problem.objectives[i].goal == "min" else -1.0 for i in self.exact])

    def all(self, genes: Genes) -> Array:
        """Every count, as measured: (n, genes) -> (n, names)."""
        rows = [self._row(genotype) for genotype in as_tuples(genes)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def objectives(self, counts: Array) -> Array:
        """The columns of counted objectives with their signs: (n, names) -> (n, exact)."""
        return np.asarray(counts[:, self._columns] * self._signs)

    def allowed(self, genotypes: Sequence[Genotype]) -> list[Genotype]:
        """Those that keep every limit on what is counted."""
        return [genotype for genotype in genotypes if self._problem.allows(genotype)]

    def _row(self, genotype: Genotype) -> tuple[float, ...]:
        row = self._rows.get(genotype)
        if row is None:
            scores = self._problem.count(genotype)
            row = self._rows[genotype] = tuple(scores[name] for name in self.names)
        return row
