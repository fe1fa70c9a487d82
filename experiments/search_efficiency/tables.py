"""Synthetic tables of shapes that real spaces have, so that no algorithm is judged by one table only.

Each maker returns the genes' sizes, and for all genotypes (rows, genes) the error in % and the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from search_spaces.table import Table

Array = NDArray[np.float64]
Law = tuple[tuple[int, ...], Callable[[NDArray[np.int64], np.random.Generator], tuple[Array, Array]]]


def switches(genes: NDArray[np.int64], generator: np.random.Generator) -> tuple[Array, Array]:
    """Many genes of two options: sums with pairwise interactions, costs over two orders of magnitude."""
    n = genes.shape[1]
    cost = 5 + genes @ np.exp(generator.normal(0, 0.7, n))
    score = genes @ generator.normal(0.5, 1, n)
    for i in range(n):
        for j in range(i):
            score = score + 0.13 * generator.normal() * genes[:, i] * genes[:, j]
    return 8 + 30 * np.exp(-(score - score.min()) / 4), cost


def unrelated(genes: NDArray[np.int64], generator: np.random.Generator) -> tuple[Array, Array]:
    """Error hardly follows cost: options are good or dear independently, and some pairs matter."""
    n = genes.shape[1]
    effects, costs = generator.normal(0, 1, (n, 5)), np.exp(generator.normal(0, 1, (n, 5)))
    score = sum(effects[g][genes[:, g]] for g in range(n))
    for _ in range(4):
        i, j = generator.choice(n, 2, replace=False)
        score = score + generator.normal(0, 0.7, (5, 5))[genes[:, i], genes[:, j]]
    cost = np.sum([costs[g][genes[:, g]] for g in range(n)], axis=0)
    return 5 + 20 / (1 + np.exp(score + 0.5 * np.log(cost))), cost


def ladders(genes: NDArray[np.int64], generator: np.random.Generator) -> tuple[Array, Array]:
    """Few genes of many ordered options: widths whose products cost, and that should match."""
    width = (genes + 1) / 9
    cost = 1 + 100 * (width[:, :-1] * width[:, 1:]).sum(axis=1)
    score = np.log(width) @ generator.uniform(0.2, 0.5, genes.shape[1]) - 2 * (width[:, 1] - width[:, 2]) ** 2
    return 4 + 10 * np.exp(-3 * (score - score.min()) / np.ptp(score)), cost


def outliers(genes: NDArray[np.int64], generator: np.random.Generator) -> tuple[Array, Array]:
    """One pair of options and 3 % of all networks do not train; costs multiply to far outliers."""
    n = genes.shape[1]
    effects, costs = generator.normal(0, 1, (n, 4)), np.exp(generator.normal(0, 1.2, (n, 4)))
    cost = np.prod([1 + costs[g][genes[:, g]] for g in range(n)], axis=0)
    score = sum(effects[g][genes[:, g]] for g in range(n)) + 0.5 * np.log(cost)
    error = 6 + 15 * np.exp(-(score - score.min()) / 3)
    broken = ((genes[:, 0] == 0) & (genes[:, 3] == 1)) | (generator.random(len(genes)) < 0.03)
    return np.where(broken, 90.0, error), cost


def cells(genes: NDArray[np.int64], generator: np.random.Generator) -> tuple[Array, Array]:
    """Edges of a cell: the best path counts, costs repeat, most networks are bad in the same way."""
    cost = 10 + np.array([0, 0, 1, 6, 0.3])[genes].sum(axis=1)
    value = (np.array([-1.5, 0.2, 0.9, 1.3, 0.1]) + generator.normal(0, 0.1, 5))[genes]
    paths = np.stack([value[:, [0, 2, 5]].sum(axis=1), value[:, [0, 1, 4]].sum(axis=1), 0.2 + 1.2 * value[:, 3]])
    return np.minimum(5.5 + 25 * np.exp(-1.2 * (paths.max(axis=0) + 0.2 * value.sum(axis=1))), 90), cost


LAWS: dict[str, Law] = {
    "switches": ((2,) * 12, switches),
    "unrelated": ((5,) * 5, unrelated),
    "ladders": ((9, 9, 8, 8), ladders),
    "outliers": ((4,) * 6, outliers),
    "cells": ((5,) * 6, cells),
}


def make(name: str, *, seed: int = 0) -> Table:
    """The table of a law: accuracy as the mean of three noisy seeds, macs, and params that follow the genes otherwise."""
    sizes, law = LAWS[name]
    generator = np.random.default_rng([seed, sorted(LAWS).index(name)])
    genes = np.array(list(product(*map(range, sizes))), dtype=np.int64)
    error, cost = law(genes, generator)
    noise = 0.01 * float(np.subtract(*np.quantile(error, [0.9, 0.1])))
    seeds = [100 - error + generator.normal(0, noise, len(error)) for _ in range(3)]
    params = np.round(1e5 * (1 + genes @ generator.random(len(sizes))) ** 1.5)
    metrics = {"accuracy": np.mean(seeds, axis=0), "macs": cost * 1e6, "params": params}
    metrics |= {f"accuracy_{i}": values for i, values in enumerate(seeds)}
    columns = tuple(f"x_{i}" for i in range(len(sizes)))
    return Table(name, columns, tuple(tuple(range(size)) for size in sizes), metrics)
