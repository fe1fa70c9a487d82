"""Where to start: architectures spread over what is counted, and different from one another, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.count_model import CountModel
from nas.algorithms.counts import Counts
from nas.algorithms.features import Features
from nas.algorithms.gaussian_process import prior
from nas.algorithms.genes import Genes, as_tuples
from nas.algorithms.novel import Novelty
from search_spaces.space import Genotype

Array = NDArray[np.float64]

UNIFORM = 48
TILTED = 48
CANDIDATES = 192
DESCENT = 60


def size_of_design(genes: int) -> int:
    """How many architectures are chosen before a model is asked: 4 and half a gene each, from 6 to 12."""
    return int(np.clip(4 + genes // 2, 6, 12))


class Design:
    """First architectures: the least of each count, then strata of counts, each time the most informative.

    A hundred genotypes are counted to learn how genes count; hundreds are then compared by guessed counts.
    """

    def __init__(self, novelty: Novelty, *, seed: int) -> None:
        self._novelty = novelty
        self._seed = seed
        generator = np.random.default_rng([seed, 2**31])
        uniform = np.unique(novelty.table.sample(generator, UNIFORM), axis=0)
        self.counts = Counts(novelty.problem, example=as_tuples(uniform)[0])
        self._effects = self._learn_effects(uniform)
        self.counted = np.unique(np.concatenate([uniform, *self._tilted(generator, TILTED)]), axis=0)
        self.features = Features(novelty.problem.space, counted=self.counts.all(uniform))
        self._guess = CountModel(novelty.problem.space, self.counts, self.counted)
        more = [novelty.table.sample(generator, CANDIDATES), *self._tilted(generator, CANDIDATES)]
        self._spread = np.unique(np.concatenate([self.counted, *more]), axis=0)

    def genotypes(self, n: int) -> list[Genotype]:
        """The first n of the design, allowed by counted limits; fewer where few are found."""
        spread = self._spread[self._likely(self._spread)]
        guessed = self._guess.all(spread)
        values = self.counts.objectives(guessed)
        chosen: dict[Genotype, None] = {}
        for i, column in enumerate(values.T):
            least = self._descend(spread[int(np.argmin(column))], i) if len(spread) else []
            chosen.update(dict.fromkeys(self.counts.allowed(least)[:1]))
        generator = np.random.default_rng([self._seed, 2**31 + 1])
        for genotype in self._informative(spread, guessed, n, generator):
            if len(chosen) >= n:
                break
            if self.counts.allowed([genotype]):
                chosen[genotype] = None
        return list(chosen)[:n]

    def _likely(self, genes: Genes) -> NDArray[np.bool_]:
        """Which genotypes seem to keep the counted limits."""
        guessed = self._guess.all(genes)
        likely = np.ones(len(genes), dtype=np.bool_)
        for limit in self._novelty.problem.limits:
            if limit.name in self.counts.names:
                column = guessed[:, self.counts.names.index(limit.name)]
                likely &= column <= limit.value if limit.relation == "<=" else column >= limit.value
        return likely

    def _learn_effects(self, genes: Genes) -> list[list[Array]]:
        """For each counted objective what each option of each gene adds to it, by ridge regression."""
        sizes = self._novelty.table.sizes
        rows = np.concatenate([np.eye(size)[genes[:, i]] for i, size in enumerate(sizes)], axis=1)
        middle = rows - rows.mean(axis=0)
        learnt = []
        for column in self.counts.objectives(self.counts.all(genes)).T:
            target = np.log(column) if (column > 0).all() else column
            solution = np.linalg.solve(middle.T @ middle + np.eye(rows.shape[1]), middle.T @ (target - target.mean()))
            learnt.append(np.split(solution, np.cumsum(sizes)[:-1]))
        return learnt

    def _tilted(self, generator: np.random.Generator, n: int) -> list[Genes]:
        """Draws with options weighed by what they add to a count, more or less, so that its whole range is reached."""
        draws = []
        for effects in self._effects:
            reach = max(sum(float(np.ptp(effect)) for effect in effects) / len(effects), 1e-12)
            tilt = generator.uniform(-6, 6, n // len(self._effects)) / reach
            genes = np.stack([_weighed(effect, tilt, generator) for effect in effects], axis=1)
            draws.append(self._novelty.table.canonical(genes))
        return draws

    def _descend(self, start: NDArray[np.int64], objective: int) -> list[Genotype]:
        """What is left on the way to the least guess of a count, by changing one gene at a time; the best first."""
        table = self._novelty.table
        way = [start]
        for _ in range(DESCENT):
            steps = np.repeat(way[-1][None], int(table.sizes.sum()), axis=0)
            steps[np.arange(len(steps)), np.repeat(np.arange(len(table.sizes)), table.sizes)] = np.concatenate(
                [np.arange(size) for size in table.sizes]
            )
            steps = np.concatenate([way[-1][None], table.canonical(steps)])
            values = self.counts.objectives(self._guess.all(steps))[:, objective]
            best = int(np.argmin(np.where(self._likely(steps), values, np.inf)))
            if values[best] >= values[0]:
                break
            way.append(steps[best])
        return as_tuples(np.stack(way[::-1]))

    def _informative(self, genes: Genes, counts: Array, n: int, generator: np.random.Generator) -> Iterator[Genotype]:
        """From each of n strata of a count the architecture of which a prior process knows least, given those before."""
        rows, values = self.features(genes, counts), self.counts.objectives(counts)
        kernel = prior(self.features.groups, exact=self.features.genes + 1, varying=self.features.varying)
        covariance = kernel.covariance(rows, rows)
        strata = [_strata(column, n) for column in values.T] or [np.arange(len(rows)) % n]
        orders = [generator.permutation(n) for _ in strata]
        left = np.ones(len(rows), dtype=np.bool_)
        for step in range(len(rows)):
            which = step % len(strata)
            inside = left & (strata[which] == orders[which][step // len(strata) % n])
            pick = int(np.argmax(np.where(inside if inside.any() else left, covariance.diagonal(), -1)))
            left[pick] = False
            yield as_tuples(genes[pick : pick + 1])[0]
            column = covariance[:, pick].copy()
            covariance -= np.outer(column, column) / (column[pick] + kernel.noise)


def _strata(column: Array, n: int) -> NDArray[np.int64]:
    """Which of n slices of equal ratio (or width) a value falls into, between its extremes."""
    if len(column) == 0:
        return np.zeros(0, dtype=np.int64)
    scale = np.log(column) if (column > 0).all() else column
    low, high = scale.min(), scale.max()
    return np.asarray(np.minimum(((scale - low) / max(high - low, 1e-12) * n).astype(np.int64), n - 1))


def _weighed(effect: Array, tilt: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """An option for each tilt (n,), drawn with probability proportional to exp(tilt * effect)."""
    logits = tilt[:, None] * effect[None]
    return np.asarray(np.argmax(logits + generator.gumbel(size=logits.shape), axis=1), dtype=np.int64)
