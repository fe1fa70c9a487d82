"""Scores of untrained networks as columns beside a space's features; it knows no network: the scores are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.features import Features
from nas.algorithms.genes import Genes, as_tuples
from search_spaces.space import Genotype

Array = NDArray[np.float64]


class Score(Protocol):
    """Scores by genotype; whoever learns from them says by how much Kendall's τ out of sample is greater with them."""

    advantage: float | None

    def __call__(self, genotype: Genotype) -> Sequence[float]:
        """The scores of one untrained network."""
        ...


class Untrained(Features):
    """The columns of `Features`, then one for each score, with a relevance of its own; each genotype is scored once."""

    def __init__(self, features: Features, score: Score, *, sample: Genes) -> None:
        """The sample (n, genes) fixes the scale of the scores."""
        self._features, self._score = features, score
        self._known: dict[Genotype, Sequence[float]] = {}
        self.genes, self.varying = features.genes, features.varying
        raw = self._raw(sample)
        finite = np.where(np.isfinite(raw), raw, np.nan)
        finite[:, ~np.isfinite(raw).any(axis=0)] = 0.0
        self._middle = np.nanmedian(finite, axis=0)
        low, high = np.nanquantile(finite, [0.1, 0.9], axis=0)
        self._spread = np.where(high > low, (high - low) / 2.56, 1.0)
        last = int(features.groups.max(initial=features.genes))
        self.groups = np.concatenate([features.groups, last + 1 + np.arange(raw.shape[1])])

    def __call__(self, genes: Genes, counted: Array) -> Array:
        """The columns of n architectures; a score that is not finite stands in the middle."""
        raw = self._raw(genes)
        scaled = np.where(np.isfinite(raw), raw - self._middle, 0.0) / self._spread
        return np.concatenate([self._features(genes, counted), np.clip(scaled, -5, 5)], axis=1)

    def _raw(self, genes: Genes) -> Array:
        genotypes = as_tuples(genes)
        for genotype in genotypes:
            if genotype not in self._known:
                self._known[genotype] = self._score(genotype)
        return np.array([self._known[genotype] for genotype in genotypes], dtype=np.float64)
