"""A guess of exact counts for thousands of genotypes, where counting each would take too long; the chosen few are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.counts import Counts
from nas.algorithms.features import Features
from nas.algorithms.gaussian_process import Kernel, Posterior, fit, prior
from nas.algorithms.genes import Genes
from search_spaces.space import Space

Array = NDArray[np.float64]

MOST_FITTED = 100
MOST_ROWS = 320


class CountModel:
    """A Gaussian process over genes for each count, on its logarithm where it is positive; learns from counted genotypes."""

    def __init__(self, space: Space[Any], counts: Counts, genes: Genes) -> None:
        """`genes` (n, genes) are counted here, n >= 1; the first 320 of them are learnt from."""
        genes = genes[:MOST_ROWS]
        self._features = Features(space, counted=np.zeros((len(genes), 0)))
        rows = self._features(genes, np.zeros((len(genes), 0)))
        values = counts.all(genes)
        self._positive = (values > 0).all(axis=0)
        self._low, self._high = values.min(axis=0), values.max(axis=0)
        targets = np.where(self._positive, np.log(np.where(self._positive, values, 1.0)), values)
        self._middle, self._width = (
            targets.mean(axis=0),
            np.where(np.ptp(targets, axis=0) > 0, targets.std(axis=0), 1.0),
        )
        start = prior(self._features.groups, exact=self._features.genes + 1, varying=self._features.varying)
        log = start.log.copy()
        log[3] = np.log(1e-3)
        start = Kernel(log, start.groups, start.exact)
        scaled, once = (targets - self._middle) / self._width, np.ones(len(genes))
        some = np.linspace(0, len(genes) - 1, min(MOST_FITTED, len(genes))).astype(np.int64)
        self._processes = [
            Posterior(fit(rows[some], column[some], once[some], start=start), rows, column, once) for column in scaled.T
        ]

    def all(self, genes: Genes) -> Array:
        """Every count as it is guessed: (n, genes) -> (n, names)."""
        rows = self._features(genes, np.zeros((len(genes), 0)))
        guessed = np.zeros((len(genes), len(self._processes)))
        for i, process in enumerate(self._processes):
            guessed[:, i] = process.mean(rows) * self._width[i] + self._middle[i]
        return np.where(self._positive, np.exp(np.where(self._positive, guessed, 0.0)), guessed)
