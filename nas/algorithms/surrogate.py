"""The default: models of what is trained or timed, exact counts for the rest, expected hypervolume improvement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.acquisition import Acquisition, Modelled, references_of
from nas.algorithms.count_model import CountModel
from nas.algorithms.design import Design, size_of_design
from nas.algorithms.features import Features
from nas.algorithms.genes import Genes, as_tuples
from nas.algorithms.history import History, Snapshot
from nas.algorithms.models import MARGIN, Choice, Data, choose, milestone, spread
from nas.algorithms.novel import Novelty
from nas.algorithms.pool import Pool
from nas.algorithms.settle import settling
from nas.algorithms.untrained import Score, Untrained
from nas.algorithms.warp import WARPS
from nas.pareto import non_dominated
from nas.problem import Archive, Problem, Proposal, Trial
from search_spaces.space import Genotype

Array = NDArray[np.float64]

FEWEST = 4
MOST_TRAINED = 600
MOST_REPLICATES = 5
FORECAST_WEIGHT = 0.5
SHORTLIST = 24


class Surrogate:
    """A designed start, then candidates of the greatest expected improvement, each as if those before had come true."""

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        warm: Sequence[Trial] = (),
        reevaluate: bool = False,
        untrained: Score | None = None,
    ) -> None:
        """With `reevaluate`, front members may be asked again with another seed where that settles the front better.

        `untrained` scores genotypes without training. Of those asked for are all that finished and, while the models rank better with
        the scores than without, the candidates of a shortlist.
        """
        self._problem = problem
        self._reevaluate = reevaluate
        self._seed = seed
        self._history = History(problem, warm=warm)
        self._novelty = Novelty(problem)
        self._pool = Pool(self._novelty)
        self._design: Design | None = None
        self._designed: dict[int, list[Genotype]] = {}
        self._count_models: dict[int, CountModel] = {}
        self._choices: dict[tuple[int, bool], tuple[bytes, Choice]] = {}
        self._score = untrained
        self._untrained: Untrained | None = None

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n new proposals; fewer when the space is used up."""
        past = self._history.read(archive.trials)
        generator = np.random.default_rng([self._seed, past.asked])
        if self._design is None:
            self._design = Design(self._novelty, seed=self._seed)
        start = size_of_design(len(self._problem.space.choices))
        found: list[Genotype] = []
        again: list[Proposal] = []
        if len(past.points) < FEWEST or len(past.known) < start:
            room = n if len(past.points) < FEWEST else min(n, start - len(past.known))
            found = self._first(past, room, start)
        if len(found) < n and len(past.points) >= FEWEST:
            best, again = self._best(past, found, n - len(found), generator)
            found.extend(best)
        if len(found) < n:
            found.extend(self._novelty.find(n - len(found), known=past.known | set(found), generator=generator))
        return [*again, *(Proposal(genotype) for genotype in found)][:n]

    def _first(self, past: Snapshot, n: int, start: int) -> list[Genotype]:
        """What the design holds that is not known yet; it doubles when many ask before anything has finished."""
        assert self._design is not None
        size = start
        while size < len(past.known) + n:
            size *= 2
        if size not in self._designed:
            self._designed[size] = self._design.genotypes(size)
        return [genotype for genotype in self._designed[size] if genotype not in past.known][:n]

    def _best(
        self, past: Snapshot, taken: list[Genotype], n: int, generator: np.random.Generator
    ) -> tuple[list[Genotype], list[Proposal]]:
        """New genotypes, and at most one replicate that is worth more than all of them."""
        assert self._design is not None
        counts, features = self._design.counts, self._design.features
        acquisition, members = self._acquisition(past, taken, features)
        parents = past.genes[members]

        def described(genes: Genes, counted: Array) -> tuple[Array, Array]:
            return features(genes, counted), counts.objectives(counted)

        guesses = self._guesses(past)
        genes, worth = self._pool.search(
            parents,
            guess=lambda some: acquisition.guess(*described(some, guesses.all(some))),
            worth=lambda some: acquisition(*described(some, counts.all(some))),
            known=past.known | set(taken),
            generator=generator,
        )
        again = self._again(past, acquisition, members, worth) if self._reevaluate else []
        better = self._better(past)
        if better is not None:
            features = better
            genes = genes[np.argsort(-worth)[: max(SHORTLIST, n)]]
            acquisition, _ = self._acquisition(past, taken, features)
            worth = acquisition(*described(genes, counts.all(genes)))
        rows, exact = described(genes, counts.all(genes))
        chosen: list[int] = []
        while len(chosen) < min(n, len(genes)):
            if chosen:
                last = slice(chosen[-1], chosen[-1] + 1)
                acquisition = acquisition.believe(rows[last], exact[last])
                worth = acquisition(rows, exact)
                worth[chosen] = -np.inf
            chosen.append(int(np.argmax(worth)))
        return as_tuples(genes[chosen]), again

    def _better(self, past: Snapshot) -> Untrained | None:
        """Features with scores of untrained networks, where the models rank left-out folds clearly better by them."""
        assert self._design is not None
        if self._score is None:
            return None
        if self._untrained is None:
            self._untrained = Untrained(self._design.features, self._score, sample=past.genes)
        tau = [
            [
                self._choice(self._data(past, features, column), features, column).correlation
                for column in self._design.counts.modelled
            ]
            for features in (self._untrained, self._design.features)
        ]
        self._score.advantage = float(np.mean(tau[0]) - np.mean(tau[1]))
        return self._untrained if self._score.advantage > MARGIN else None

    def _again(
        self, past: Snapshot, acquisition: Acquisition, members: NDArray[np.int64], worth: Array
    ) -> list[Proposal]:
        """The front member whose replicate is worth most, if that is more than any new candidate is worth."""
        assert self._design is not None
        idle = members[(past.running[members] == 0) & (past.replicates[members] < MOST_REPLICATES)]
        if len(idle) == 0:
            return []
        counted = self._design.counts.all(past.genes[idle])
        values = settling(
            acquisition, self._design.features(past.genes[idle], counted), self._design.counts.objectives(counted)
        )
        best = int(np.argmax(values))
        if values[best] <= worth.max(initial=0.0):
            return []
        genotype = as_tuples(past.genes[idle[best : best + 1]])[0]
        return [Proposal(genotype, replicate=int(past.replicates[idle[best]]))]

    def _guesses(self, past: Snapshot) -> CountModel:
        """Learns from the start's sample and from the latest of a past that grows by steps."""
        assert self._design is not None
        at = milestone(len(past.genes))
        if at not in self._count_models:
            genes = np.concatenate([self._design.counted, past.genes[:at][::-1]])
            self._count_models = {at: CountModel(self._problem.space, self._design.counts, genes)}
        return self._count_models[at]

    def _acquisition(
        self, past: Snapshot, taken: list[Genotype], features: Features
    ) -> tuple[Acquisition, NDArray[np.int64]]:
        """Models trained on all that finished, with what is under way believed, and the rows of the front."""
        assert self._design is not None
        counts = self._design.counts
        counted = counts.all(past.genes)
        rows, exact = features(past.genes, counted), counts.objectives(counted)
        modelled = tuple(self._modelled(past, features, column) for column in counts.modelled)
        front = np.zeros((0, past.points.shape[1]))
        acquisition = Acquisition(counts.exact, modelled, front, ())
        settled = acquisition.points(rows, exact)
        kept = past.violation == 0
        best = np.flatnonzero(kept)[non_dominated(settled[kept])]
        acquisition = Acquisition(counts.exact, modelled, settled[best], references_of(past.points, settled[best]))
        waiting = np.concatenate(
            [past.pending, np.array(taken, dtype=np.int64).reshape(len(taken), past.genes.shape[1])]
        )
        if len(waiting):
            counted = counts.all(waiting)
            acquisition = acquisition.believe(features(waiting, counted), counts.objectives(counted))
        return acquisition, best

    def _modelled(self, past: Snapshot, features: Features, column: int) -> Modelled:
        objective = self._problem.objectives[column]
        sign = 1.0 if objective.goal == "min" else -1.0
        data = self._data(past, features, column)
        choice = self._choice(data, features, column)
        warp = WARPS[choice.warp](data.values)
        some = spread(data.values, MOST_TRAINED)
        model = choice.train(data.rows[some], warp.forward(data.values)[some], data.weights[some])
        limits = tuple(limit for limit in self._problem.limits if limit.name == objective.name)
        return Modelled(column, sign, warp, model, limits)

    def _data(self, past: Snapshot, features: Features, column: int) -> Data:
        """What finished and, at less weight, what was expected of the pruned, lest their like be asked again."""
        assert self._design is not None
        counts = self._design.counts
        rows = features(past.genes, counts.all(past.genes))
        pruned = features(past.pruned, counts.all(past.pruned)) if len(past.pruned) else rows[:0]
        told = np.argsort(
            np.concatenate([past.ids, past.pruned_ids])
        )  # in the order of trials, so that the first stay the first
        return Data(
            np.concatenate([rows, pruned])[told],
            np.concatenate([past.points[:, column], past.forecasts[:, column]])[told],
            np.concatenate([past.replicates.astype(np.float64), np.full(len(pruned), FORECAST_WEIGHT)])[told],
        )

    def _choice(self, data: Data, features: Features, column: int) -> Choice:
        """The kind of model for a column, chosen anew whenever the past has grown by a step."""
        early = data[: milestone(len(data.rows))]
        place, content = (column, features is self._untrained), early.rows.tobytes() + early.values.tobytes()
        if place not in self._choices or self._choices[place][0] != content:
            self._choices[place] = content, choose(early, features, seed=self._seed)
        return self._choices[place][1]
