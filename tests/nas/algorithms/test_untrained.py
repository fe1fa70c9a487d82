"""Scores of untrained networks as features: what they look like, and that they are kept only where they help."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from algorithm_toys import Run, toy_problem, toy_scores, toy_space

from nas.algorithms.features import Features
from nas.algorithms.models import MARGIN
from nas.algorithms.surrogate import Surrogate
from nas.algorithms.untrained import Untrained
from search_spaces.space import Genotype


class Scores:
    """A score of genotypes that notes what it was asked for."""

    def __init__(self, score: Callable[[Genotype], float]) -> None:
        self.score, self.asked = score, list[Genotype]()
        self.advantage: float | None = None

    def __call__(self, genotype: Genotype) -> list[float]:
        self.asked.append(genotype)
        return [self.score(genotype)]


def test_columns_stand_beside_the_features_and_each_genotype_is_scored_once() -> None:
    space, generator = toy_space(), np.random.default_rng(0)
    genes = np.array([space.sample(generator) for _ in range(30)])
    counted = generator.random((30, 2)) + 1
    plain = Features(space, counted=counted)
    scores = Scores(lambda genotype: math.nan if genotype == tuple(genes[3]) else float(sum(genotype)))
    both = Untrained(plain, scores, sample=genes)
    rows = both(genes, counted)
    assert rows.shape == (30, plain(genes, counted).shape[1] + 1) and np.isfinite(rows).all()
    assert np.array_equal(rows[:, :-1], plain(genes, counted))
    assert list(both.groups[:-1]) == list(plain.groups) and both.groups[-1] == plain.groups.max() + 1
    assert rows[3, -1] == 0 and np.corrcoef(np.delete(rows[:, -1], 3), np.delete(genes.sum(1), 3))[0, 1] > 0.99
    assert len(scores.asked) == len({tuple(row) for row in genes})


def searched(scores: Scores) -> Run:
    toy = Run(toy_problem(toy_space(genes=20)))
    toy.go(Surrogate(toy.problem, seed=0, untrained=scores), evaluations=36, batch=4)
    return toy


def test_a_score_that_tells_the_outcome_is_used_on_a_shortlist() -> None:
    scores = Scores(lambda genotype: toy_scores(genotype)["error"])
    toy = searched(scores)
    assert scores.advantage is not None and scores.advantage > MARGIN
    assert len(set(scores.asked)) > len(toy.trials) + 20 and len(scores.asked) == len(set(scores.asked))
    assert {trial.genotype for trial in toy.trials[-4:]} <= set(scores.asked)


def test_a_score_that_tells_nothing_is_left_out_and_changes_nothing() -> None:
    scores = Scores(lambda genotype: float(np.random.default_rng(list(genotype)).random()))
    toy = searched(scores)
    assert scores.advantage is not None and scores.advantage <= MARGIN
    assert set(scores.asked) <= {trial.genotype for trial in toy.trials}
    plain = Run(toy_problem(toy_space(genes=20)))
    plain.go(Surrogate(plain.problem, seed=0), evaluations=36, batch=4)
    assert [trial.genotype for trial in toy.trials] == [trial.genotype for trial in plain.trials]


def test_a_score_that_is_never_finite_does_no_harm() -> None:
    scores = Scores(lambda genotype: math.nan)
    assert len(searched(scores).trials) == 36
    assert scores.advantage == pytest.approx(0, abs=MARGIN)
