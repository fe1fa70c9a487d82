"""The parts of the surrogate against definitions written out."""

from dataclasses import replace

import numpy as np
import pytest
from algorithm_toys import ERROR, LATENCY, MACS, PARAMS, Run, toy_problem, toy_scores, toy_space

from nas.algorithms import gaussian_process
from nas.algorithms.acquisition import references_of
from nas.algorithms.count_model import CountModel
from nas.algorithms.counts import Counts
from nas.algorithms.design import Design
from nas.algorithms.features import Features
from nas.algorithms.gaussian_process import Posterior, fit, prior
from nas.algorithms.genes import GeneTable, as_tuples
from nas.algorithms.history import History
from nas.algorithms.improvement import expected, improvement, quadrature
from nas.algorithms.models import Data, choose, milestone, spread
from nas.algorithms.novel import Novelty
from nas.algorithms.random_search import RandomSearch
from nas.algorithms.surrogate import Surrogate
from nas.algorithms.warp import WARPS
from nas.pareto import hypervolume
from nas.problem import Proposal
from search_spaces.space import Choice, Space


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_improvement_is_a_difference_of_hypervolumes(objectives: int) -> None:
    generator = np.random.default_rng(objectives)
    front, points = generator.random((12, objectives)), generator.random((40, objectives)) * 1.2 - 0.1
    reference = np.full(objectives, 0.9)
    before = hypervolume(front, reference)
    after = [hypervolume(np.concatenate([front, point[None]]), reference) for point in points]
    assert improvement(points, front, reference) == pytest.approx(np.array(after) - before, abs=1e-12)
    nothing = np.zeros((0, objectives))
    alone = [hypervolume(point[None], reference) for point in points]
    assert improvement(points, nothing, reference) == pytest.approx(np.array(alone), abs=1e-12)


def test_expectation_of_one_objective_is_expected_improvement() -> None:
    from scipy.stats import norm

    mean, deviation, best = 0.3, 0.2, 0.25
    z = (best - mean) / deviation
    formula = deviation * (z * norm.cdf(z) + norm.pdf(z))

    def sample(node: np.ndarray) -> np.ndarray:
        return np.array([[mean + deviation * node[0]]])

    found = expected(sample, front=np.array([[best]]), reference=np.array([1.0]), modelled=1)
    assert found[0] == pytest.approx(formula, rel=0.1)


def test_quadrature_has_the_moments_of_normals() -> None:
    for modelled in (1, 2, 3):
        nodes, weights = quadrature(modelled)
        assert weights.sum() == pytest.approx(1)
        assert weights @ nodes == pytest.approx(np.zeros(modelled), abs=0.1)
        assert weights @ nodes**2 == pytest.approx(np.ones(modelled), abs=0.2)


@pytest.mark.parametrize("name", sorted(WARPS))
def test_warps_are_monotone_and_go_back(name: str) -> None:
    values = np.concatenate([np.random.default_rng(0).lognormal(size=30), [500.0]])
    warp = WARPS[name](values)
    there = warp.forward(values)
    assert warp.backward(there) == pytest.approx(values)
    assert there.mean() == pytest.approx(0, abs=1e-9) and there.std() == pytest.approx(1)
    line = np.linspace(-4, 4, 50)
    assert (np.diff(warp.backward(line)) > 0).all()
    assert np.isfinite(WARPS[name](np.ones(5)).backward(line)).all()


def sampled(n: int, seed: int = 0) -> tuple[Features, np.ndarray, np.ndarray]:
    problem = toy_problem()
    genes = np.unique(GeneTable(problem.space).sample(np.random.default_rng(seed), n), axis=0)
    counts = Counts(problem, example=as_tuples(genes)[0]).all(genes)
    features = Features(problem.space, counted=counts)
    return features, features(genes, counts), np.array([toy_scores(g)["error"] for g in as_tuples(genes)])


def test_features_tell_order_and_inactive_genes() -> None:
    space = Space(
        "s",
        (Choice("kind", ("a", "b")), Choice("width", (8, 16, 64)), Choice("k", (3, 5), when=("kind", ("b",)))),
        dict,
    )
    features = Features(space, counted=np.zeros((3, 0)))
    genes = np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0], [1, 0, 0], [1, 0, 1]])
    rows = features(genes, np.zeros((5, 0)))

    def apart(i: int, j: int, group: int) -> float:
        return float(((rows[i] - rows[j])[features.groups == group] ** 2).sum())

    assert apart(0, 1, 1) < apart(0, 2, 1) and apart(0, 1, 1) > 1
    assert apart(0, 1, 0) == 0 and apart(0, 3, 0) == pytest.approx(1)
    assert apart(0, 3, 2) == pytest.approx(0.75) and apart(3, 4, 2) == pytest.approx(2)


def test_process_interpolates_and_its_gradient_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    features, rows, errors = sampled(25)
    targets = (errors - errors.mean()) / errors.std()
    start = prior(features.groups, exact=features.genes + 1, varying=features.varying)
    losses = []

    def check(loss, at, **_):  # type: ignore[no-untyped-def]
        value, gradient = loss(at)
        step = 1e-5
        numeric = [(loss(at + step * unit)[0] - loss(at - step * unit)[0]) / (2 * step) for unit in np.eye(len(at))]
        assert gradient == pytest.approx(np.array(numeric), rel=1e-3, abs=1e-5)
        losses.append(value)
        return type("Result", (), {"x": at})

    monkeypatch.setattr("scipy.optimize.minimize", check)
    weights = np.linspace(1, 3, len(targets))
    fit(rows, targets, weights, start=start)
    assert len(losses) == 1
    log = start.log.copy()
    log[gaussian_process.NOISE] = -12
    posterior = Posterior(gaussian_process.Kernel(log, start.groups, start.exact), rows, targets, weights)
    mean, variance = posterior.predict(rows)
    assert mean == pytest.approx(targets, abs=0.02) and (variance < 1e-3).all()
    assert posterior.mean(rows) == pytest.approx(mean)
    far = posterior.believe(rows[:3] + 1.0)
    assert (far.predict(rows[:3] + 1.0)[1] < posterior.predict(rows[:3] + 1.0)[1]).all()


def test_choice_of_a_model_learns_the_toy() -> None:
    features, rows, errors = sampled(120)
    data = Data(rows[:80], errors[:80], np.ones(80))
    choice = choose(data, features, seed=0)
    assert choice.correlation > 0.6
    warp = WARPS[choice.warp](data.values)
    mean = choice.train(data.rows, warp.forward(data.values), data.weights).predict(rows[80:])[0]
    assert np.corrcoef(warp.backward(mean), errors[80:])[0, 1] > 0.8


@pytest.mark.parametrize("kind", ["forest", "networks", "ridge"])
def test_every_other_model_learns_the_toy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, rows, errors = sampled(120)
    monkeypatch.setattr("nas.algorithms.models.tried", lambda n: (f"{kind}-logarithm",))
    choice = choose(Data(rows[:80], errors[:80], np.ones(80)), features, seed=0)
    assert choice.kind == kind and choice.correlation > 0.4
    model = choice.train(rows[:80], errors[:80], np.ones(80))
    mean, variance = model.believe(rows[80:82]).predict(rows[80:])
    assert np.corrcoef(mean, errors[80:])[0, 1] > 0.6 and (variance > 0).all()


def test_milestones_come_ever_more_rarely() -> None:
    at = [milestone(n) for n in range(1, 1001)]
    assert at[:24] == list(range(1, 25)) and (np.diff(at) >= 0).all()
    assert all(m <= n < 1.3 * m + 1 for n, m in enumerate(at, start=1))
    assert len(spread(np.arange(500.0), 100)) == 100 and len(spread(np.arange(5.0), 100)) == 5


def test_count_model_guesses_within_a_few_percent() -> None:
    problem = toy_problem(toy_space(genes=12))
    genes = np.unique(GeneTable(problem.space).sample(np.random.default_rng(0), 300), axis=0)
    counts = Counts(problem, example=as_tuples(genes)[0])
    guessed = CountModel(problem.space, counts, genes[:200]).all(genes[200:])
    assert np.median(np.abs(np.log(guessed / counts.all(genes[200:])))) < 0.05


def test_design_starts_with_the_least_of_each_count_and_spreads() -> None:
    problem = toy_problem(objectives=(ERROR, MACS, PARAMS))
    first = Design(Novelty(problem), seed=0).genotypes(10)
    macs = [problem.count(genotype)["macs"] for genotype in first]
    everything = [problem.count(genotype) for genotype in GeneTable(problem.space).each()]
    assert min(macs) == min(scores["macs"] for scores in everything)
    assert max(macs) > np.quantile([scores["macs"] for scores in everything], 0.9)
    assert len(set(first)) == 10


def test_history_averages_replicates_and_estimates_noise() -> None:
    toy = Run(toy_problem(objectives=(ERROR, LATENCY)))
    first = toy.problem.space.canonical((1, 0, 2, 1, 0, 0, 0))
    toy.start([Proposal(first), Proposal((0,) * 7)], seed=1)
    toy.finish()
    toy.start([Proposal(first, replicate=1)], seed=5)
    running = History(toy.problem).read(toy.trials)
    assert running.running.tolist() == [1, 0] and len(running.pending) == 0
    toy.finish()
    read = History(toy.problem).read(toy.trials)
    values = np.array(
        [[trial.scores["error"], trial.scores["latency_ms"]] for trial in toy.trials if trial.genotype == first]
    )
    assert read.replicates.tolist() == [2, 1] and read.freedom == 1
    assert read.points[0] == pytest.approx(values.mean(axis=0))
    assert read.noise == pytest.approx(values.var(axis=0, ddof=1))


def test_references_lie_beyond_everything_and_beyond_the_front() -> None:
    points = np.array([[0.0, 1.0], [1.0, 0.0], [10.0, 10.0]])
    far, near = references_of(points, points[:2])
    assert far.tolist() == [11.0, 11.0] and near.tolist() == [1.1, 1.1]


def test_fewer_evaluations_than_random_search() -> None:
    space = toy_space(genes=14)
    reached = {}
    for name, make in {"surrogate": Surrogate, "random": RandomSearch}.items():
        toy = Run(toy_problem(space))
        toy.go(make(toy.problem, seed=0), evaluations=40, batch=2)
        points = np.array([[trial.scores["error"], np.log(trial.scores["macs"])] for trial in toy.trials])
        reached[name] = hypervolume(points, [40.0, 25.0])
    assert reached["surrogate"] > 1.1 * reached["random"]


def test_eight_at_once_are_complementary() -> None:
    toy = Run(toy_problem(toy_space(genes=12)))
    toy.go(Surrogate(toy.problem, seed=0), evaluations=24, batch=8)
    asked = Surrogate(toy.problem, seed=0).ask(toy, 8)
    macs = sorted(np.log(toy.problem.count(proposal.genotype)["macs"]) for proposal in asked)
    assert len({proposal.genotype for proposal in asked}) == 8
    assert macs[-1] - macs[0] > 1


def test_another_seed_is_asked_where_noise_hides_the_front() -> None:
    few = Space("few", (Choice("width1", (8, 16, 32)), Choice("width2", (8, 16, 32))), toy_space().decoder)
    toy = Run(toy_problem(few))
    for _ in range(5):
        toy.start(Surrogate(toy.problem, seed=0).ask(toy, 2))
        toy.finish()
    assert Surrogate(toy.problem, seed=0).ask(toy, 2) == []
    toy.go(Surrogate(toy.problem, seed=0, reevaluate=True), evaluations=4, batch=1)
    again = [trial for trial in toy.trials if trial.replicate > 0]
    assert again and all(trial.replicate < 5 for trial in again)
    assert len({(trial.genotype, trial.replicate) for trial in toy.trials}) == len(toy.trials)


def test_forecasts_of_pruned_trials_are_learnt_from_but_are_no_points() -> None:
    toy = Run(toy_problem(objectives=[ERROR, MACS]))
    toy.go(RandomSearch(toy.problem, seed=4), evaluations=16)
    toy.start(RandomSearch(toy.problem, seed=5).ask(toy, 8))
    asked = Surrogate(toy.problem, seed=0).ask(toy, 4)
    toy.finish(pruned=lambda trial: True)
    past = History(toy.problem).read(toy.trials)
    assert len(past.points) == 16 and past.pruned.tolist() == [list(t.genotype) for t in toy.trials[16:]]
    expected = [toy_scores(t.genotype, seed=t.seed) for t in toy.trials[16:]]
    assert past.forecasts.tolist() == [[scores["error"], scores["macs"]] for scores in expected]
    assert Surrogate(toy.problem, seed=0).ask(toy, 4) != asked
    toy.trials[16:] = [replace(trial, details={}) for trial in toy.trials[16:]]
    assert len(History(toy.problem).read(toy.trials).pruned) == 0
