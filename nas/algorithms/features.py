"""Architectures as numbers that models learn from: genes, order of options, counts of options, what is counted exactly."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.genes import Genes, GeneTable
from search_spaces.space import Space

Array = NDArray[np.float64]
SHARED = 3
RATIO = 4.0


class Features:
    """Columns of a space: (n, genes), (n, counted) -> (n, columns), each belonging to one group with one relevance.

    A gene's group holds one-hot columns (half the squared distance is 1 for two different options) and, where its
    options are numbers, their standing in order (logarithmic where they span more than a factor of 4), so that the
    squared distance grows with the step. An inactive gene is an option of its own. Then one group for the shares of
    options among genes that offer the same ones (operator counts, total depth), and one for each counted objective.
    """

    def __init__(self, space: Space[Any], *, counted: Array) -> None:
        """`counted` (sample, objectives) fixes the scale of counted objectives."""
        self._table = GeneTable(space)
        self._onehot: list[tuple[int, Array]] = []
        groups: list[int] = []
        for i, choice in enumerate(space.choices):
            codes = _codes(choice.options, conditional=choice.when is not None)
            self._onehot.append((i, codes))
            groups.extend([i] * codes.shape[1])
        alike = Counter(choice.options for choice in space.choices)
        self._shared = [
            [i for i, choice in enumerate(space.choices) if choice.options == options]
            for options, often in alike.items()
            if often >= SHARED and len(options) > 1
        ]
        self.genes = len(space.choices)
        self.varying = sum(len(choice.options) > 1 for choice in space.choices)
        shares = sum(self._onehot[members[0]][1].shape[1] for members in self._shared)
        groups.extend([self.genes] * shares)
        groups.extend(self.genes + 1 + k for k in range(counted.shape[1]))
        self.groups = np.array(groups, dtype=np.int64)
        self._positive = (counted > 0).all(axis=0)
        scaled = self._logarithm(counted)
        self._middle = np.median(scaled, axis=0)
        spread = np.quantile(scaled, 0.9, axis=0) - np.quantile(scaled, 0.1, axis=0)
        self._spread = np.where(spread > 0, spread / 2.56, 1.0)

    def __call__(self, genes: Genes, counted: Array) -> Array:
        """The columns of n architectures."""
        inactive = ~self._table.active(genes)
        blocks = [codes[np.where(inactive[:, i], -1, genes[:, i])] for i, codes in self._onehot]
        shares = [
            sum((blocks[i] for i in members), np.zeros_like(blocks[members[0]])) / np.sqrt(len(members))
            for members in self._shared
        ]
        exact = np.clip((self._logarithm(counted) - self._middle) / self._spread, -5, 5)
        return np.concatenate([*blocks, *shares, exact], axis=1)

    def _logarithm(self, counted: Array) -> Array:
        return np.where(self._positive, np.log(np.where(self._positive, np.maximum(counted, 1e-300), 1.0)), counted)


def _codes(options: tuple[object, ...], *, conditional: bool) -> Array:
    """A row for each option and a last one for an inactive gene: one-hot columns, then the standing in order."""
    n = len(options)
    onehot: Array = np.concatenate([np.eye(n), np.zeros((1, n))]) * np.sqrt(0.5)
    numeric = all(isinstance(option, int | float) for option in options)
    if not numeric or n < 2:
        return onehot if n > 1 or conditional else onehot[:, :0]
    values = np.array(options, dtype=np.float64)
    if values.min() > 0 and values.max() / values.min() > RATIO:
        values = np.log(values)
    standing = (values - values.min()) / (values.max() - values.min())
    return np.concatenate([onehot, np.append(standing, 0.5)[:, None]], axis=1)
