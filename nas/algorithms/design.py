"""Where to start: architectures spread over what is counted, and different from one another, before anything is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.counts import Counts
from nas.algorithms.features import Features
from nas.algorithms.gaussian_process import prior
from nas.algorithms.genes import Genes, as_tuples
from nas.algorithms.novel import Novelty
from search_spaces.space import Genotype

Array = NDArray[np.float64]

SAMPLE = 64
DRAWN = 160
STEPS = 100


def size_of_design(genes: int) -> int:
    """How many architectures are chosen before a model is asked: 4 and half a gene each, from 6 to 12."""
    return int(np.clip(4 + genes // 2, 6, 12))


class Design:
    """An ordered list of first architectures: the least of each count, then strata of counts, each time the most informative."""

    def __init__(self, novelty: Novelty, *, seed: int) -> None:
        self._novelty = novelty
        generator = np.random.default_rng([seed, 2**31])
        found = novelty.find(SAMPLE, known=set(), generator=generator)
        self.uniform = np.array(found, dtype=np.int64).reshape(len(found), len(novelty.table.sizes))
        if not found:
            return
        self.counts = Counts(novelty.problem, example=found[0])
        self.features = Features(novelty.problem.space, counted=self.counts.all(self.uniform))
        spread = [self.uniform, *self._tilted(generator)]
        distinct = dict.fromkeys(as_tuples(np.concatenate(spread)))
        self.spread = np.array(self.counts.allowed(list(distinct)), dtype=np.int64)
        self._generator = generator

    def genotypes(self, n: int) -> list[Genotype]:
        """The first n of the design; fewer where the space holds fewer."""
        if len(self.uniform) == 0:
            return []
        values = self.counts.objectives(self.counts.all(self.spread))
        least = [self._descend(self.spread[int(np.argmin(column))], i) for i, column in enumerate(values.T)]
        generator = np.random.default_rng(self._generator.integers(2**63))
        chosen = dict.fromkeys([*least, *self._informative(values, n, generator)])
        return list(chosen)[:n]

    def _tilted(self, generator: np.random.Generator) -> list[Genes]:
        """Draws with options weighed by what they add to a count, more or less, so that its whole range is reached."""
        values = self.counts.objectives(self.counts.all(self.uniform))
        draws = []
        for column in values.T:
            effects = self._effects(np.log(column) if (column > 0).all() else column)
            reach = max(sum(float(np.ptp(effect)) for effect in effects) / len(effects), 1e-12)
            tilt = generator.uniform(-6, 6, DRAWN // values.shape[1]) / reach
            genes = np.stack([_weighed(effect, tilt, generator) for effect in effects], axis=1)
            draws.append(self._novelty.table.canonical(genes))
        return draws

    def _effects(self, target: Array) -> list[Array]:
        """What each option of each gene adds to a target, by ridge regression on the uniform sample."""
        blocks = [np.eye(size)[self.uniform[:, i]] for i, size in enumerate(self._novelty.table.sizes)]
        rows = np.concatenate(blocks, axis=1)
        middle = rows - rows.mean(axis=0)
        solution = np.linalg.solve(middle.T @ middle + np.eye(rows.shape[1]), middle.T @ (target - target.mean()))
        return np.split(solution, np.cumsum(self._novelty.table.sizes)[:-1])

    def _descend(self, start: NDArray[np.int64], objective: int) -> Genotype:
        """The least of a count by changing one gene at a time."""
        best = tuple(start.tolist())
        value = self._value(best, objective)
        moves = [(i, option) for i, size in enumerate(self._novelty.table.sizes) for option in range(int(size))]
        for i, option in moves[:STEPS]:
            moved = self._novelty.problem.space.canonical((*best[:i], option, *best[i + 1 :]))
            if self.counts.allowed([moved]) and self._value(moved, objective) < value:
                best, value = moved, self._value(moved, objective)
        return best

    def _value(self, genotype: Genotype, objective: int) -> float:
        return float(self.counts.objectives(self.counts.all(np.array([genotype])))[0, objective])

    def _informative(self, values: Array, n: int, generator: np.random.Generator) -> list[Genotype]:
        """From each of n strata of a count the architecture of which a prior process knows least, given those before."""
        rows = self.features(self.spread, self.counts.all(self.spread))
        kernel = prior(self.features.groups, exact=self.features.genes + 1, varying=self.features.varying)
        covariance = kernel.covariance(rows, rows)
        strata = [_strata(column, n) for column in values.T] or [np.arange(len(rows)) % n]
        orders = [generator.permutation(n) for _ in strata]
        chosen: list[int] = []
        for step in range(min(n, len(rows))):
            which = step % len(strata)
            inside = strata[which] == orders[which][step // len(strata) % n]
            inside[chosen] = False
            unknown = np.where(
                inside if inside.any() else ~np.isin(np.arange(len(rows)), chosen), covariance.diagonal(), -1
            )
            pick = int(np.argmax(unknown))
            chosen.append(pick)
            column = covariance[:, pick].copy()
            covariance -= np.outer(column, column) / (column[pick] + kernel.noise)
        return as_tuples(self.spread[chosen])


def _strata(column: Array, n: int) -> NDArray[np.int64]:
    """Which of n slices of equal ratio (or width) a value falls into, between its extremes."""
    scale = np.log(column) if (column > 0).all() else column
    low, high = scale.min(), scale.max()
    return np.asarray(np.minimum(((scale - low) / max(high - low, 1e-12) * n).astype(np.int64), n - 1))


def _weighed(effect: Array, tilt: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """An option for each tilt (n,), drawn with probability proportional to exp(tilt * effect)."""
    logits = tilt[:, None] * effect[None]
    return np.asarray(np.argmax(logits + generator.gumbel(size=logits.shape), axis=1), dtype=np.int64)
