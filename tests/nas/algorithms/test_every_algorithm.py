"""The contract of every algorithm of the catalogue; a new entry is tested by being listed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from algorithm_toys import DEPTH, ERROR, LATENCY, MACS, PARAMS, Run, toy_problem, toy_space

from nas.algorithms.catalogue import ALGORITHMS
from nas.problem import Limit, Proposal
from search_spaces.space import Choice, Space

MakeRun = Callable[..., Run]
EVERY = pytest.mark.parametrize("name", sorted(ALGORITHMS))
SLOW = {"gp"}  # Optuna's takes seconds a proposal
EVERY_QUICK = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(ALGORITHMS)]
)


def genotypes(proposals: list[Proposal]) -> list[tuple[int, ...]]:
    return [proposal.genotype for proposal in proposals if proposal.replicate == 0]


@EVERY
def test_empty_archive(name: str, run: MakeRun) -> None:
    empty = run()
    proposals = ALGORITHMS[name](empty.problem, seed=0).ask(empty, 5)
    assert len(set(genotypes(proposals))) == 5
    for genotype in genotypes(proposals):
        assert empty.problem.space.canonical(genotype) == genotype
        assert all(type(gene) is int for gene in genotype)


@EVERY_QUICK
def test_no_repeats_not_even_of_pending_ones(name: str, run: MakeRun) -> None:
    toy = run()
    algorithm = ALGORITHMS[name](toy.problem, seed=1)
    for step in range(12):
        toy.start(algorithm.ask(toy, 3))
        if step % 3 == 2:
            toy.finish(fails=lambda trial: trial.number % 7 == 3)
    first = [trial.genotype for trial in toy.trials if trial.replicate == 0]
    assert len(first) == len(set(first)) >= 30
    failed = {trial.genotype for trial in toy.trials if trial.state == "failed"}
    assert not failed & {trial.genotype for trial in toy.trials if trial.replicate}


@EVERY_QUICK
def test_pruned_trials_are_not_asked_again(name: str, run: MakeRun) -> None:
    toy = run()
    algorithm = ALGORITHMS[name](toy.problem, seed=2)
    for _ in range(9):
        toy.start(algorithm.ask(toy, 3))
        toy.finish(pruned=lambda trial: trial.number % 3 > 0)
    first = [trial.genotype for trial in toy.trials if trial.replicate == 0]
    assert len(first) == len(set(first)) >= 25
    pruned = {trial.genotype for trial in toy.trials if trial.state == "pruned"}
    assert pruned and not pruned & {trial.genotype for trial in toy.trials if trial.replicate}
    assert algorithm.ask(toy, 2) == ALGORITHMS[name](toy.problem, seed=2).ask(toy, 2)


@EVERY_QUICK
def test_a_fresh_instance_proposes_the_same(name: str, run: MakeRun) -> None:
    toy = run()
    algorithm = ALGORITHMS[name](toy.problem, seed=3)
    for step in range(10):
        proposals = algorithm.ask(toy, 2 + step % 2)
        assert ALGORITHMS[name](toy.problem, seed=3).ask(toy, 2 + step % 2) == proposals
        assert algorithm.ask(toy, 2 + step % 2) == proposals
        toy.start(proposals)
        if step % 2:
            toy.finish()


ELSEWHERE = """
import json, sys
sys.path.insert(0, sys.argv[2])
from algorithm_toys import Run, toy_problem
from nas.algorithms.catalogue import ALGORITHMS
toy = Run(toy_problem())
toy.go(ALGORITHMS["random"](toy.problem, seed=0), evaluations=24)
toy.start(ALGORITHMS["random"](toy.problem, seed=9).ask(toy, 2))
print(json.dumps([[p.genotype, p.replicate] for p in ALGORITHMS[sys.argv[1]](toy.problem, seed=5).ask(toy, 4)]))
"""


@EVERY_QUICK
def test_another_process_proposes_the_same(name: str, run: MakeRun) -> None:
    toy = run()
    toy.go(ALGORITHMS["random"](toy.problem, seed=0), evaluations=24)
    toy.start(ALGORITHMS["random"](toy.problem, seed=9).ask(toy, 2))
    here = ALGORITHMS[name](toy.problem, seed=5).ask(toy, 4)
    command = [sys.executable, "-c", ELSEWHERE, name, str(Path(__file__).parent)]
    there = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"})
    assert json.loads(there.stdout) == [[list(p.genotype), p.replicate] for p in here]


@EVERY
def test_seeds_differ(name: str, run: MakeRun) -> None:
    asked = {tuple(genotypes(ALGORITHMS[name](run().problem, seed=seed).ask(run(), 4))) for seed in range(4)}
    assert len(asked) > 1


@EVERY_QUICK
@pytest.mark.parametrize(
    "objectives",
    [(ERROR,), (MACS,), (ERROR, MACS), (ERROR, LATENCY, DEPTH), (ERROR, MACS, PARAMS, LATENCY)],
    ids=lambda objectives: "+".join(objective.name for objective in objectives),
)
def test_one_to_four_objectives(name: str, objectives: tuple[object, ...], run: MakeRun) -> None:
    toy = run(objectives=objectives)
    toy.go(ALGORITHMS[name](toy.problem, seed=0), evaluations=40)
    assert len({trial.genotype for trial in toy.trials}) >= 36


@EVERY
def test_all_failed(name: str, run: MakeRun) -> None:
    toy = run()
    algorithm = ALGORITHMS[name](toy.problem, seed=0)
    for _ in range(8):
        toy.start(algorithm.ask(toy, 4))
        toy.finish(fails=lambda trial: True)
    assert len({trial.genotype for trial in toy.trials}) == 32


@EVERY_QUICK
def test_counted_limits_are_never_broken(name: str, run: MakeRun) -> None:
    limits = (Limit("macs", "<=", 2e7), Limit("params", ">=", 3e4))
    toy = run(limits=limits)
    toy.go(ALGORITHMS[name](toy.problem, seed=0), evaluations=40)
    assert len(toy.trials) >= 30
    assert all(limit.holds(trial.scores) for trial in toy.trials for limit in limits)


@EVERY
def test_a_limit_that_leaves_a_corner_of_a_large_space(name: str, run: MakeRun) -> None:
    toy = run(toy_space(genes=20), limits=(Limit("params", "<=", 5e4),))
    toy.go(ALGORITHMS[name](toy.problem, seed=0), evaluations=12)
    assert len(toy.trials) >= 8
    assert all(trial.scores["params"] <= 5e4 for trial in toy.trials)


@EVERY_QUICK
def test_limits_on_trained_objectives_steer(name: str, run: MakeRun) -> None:
    toy = run(limits=(Limit("error", "<=", 8.0),))
    toy.go(ALGORITHMS[name](toy.problem, seed=0), evaluations=60)
    late = [trial.scores["error"] <= 8.0 for trial in toy.trials[30:]]
    share = np.mean([trial.scores["error"] <= 8.0 for trial in toy.trials[:8]])
    assert name == "random" or np.mean(late) >= min(share, 0.6)


@EVERY
def test_an_exhausted_space_gives_fewer(name: str, run: MakeRun) -> None:
    toy = run(Space("few", (Choice("a", (1, 2, 3)), Choice("b", ("x", "y")), Choice("c", (5,))), toy_space().decoder))
    algorithm = ALGORITHMS[name](toy.problem, seed=0)
    toy.start(algorithm.ask(toy, 4))
    toy.finish()
    toy.start(algorithm.ask(toy, 4))
    toy.finish()
    assert len({trial.genotype for trial in toy.trials}) == 6
    assert genotypes(algorithm.ask(toy, 3)) == []


@EVERY
def test_one_option_a_choice(name: str, run: MakeRun) -> None:
    toy = run(Space("one", (Choice("a", (1,)), Choice("b", ("x",))), toy_space().decoder))
    algorithm = ALGORITHMS[name](toy.problem, seed=0)
    toy.start(algorithm.ask(toy, 3))
    assert [trial.genotype for trial in toy.trials] == [(0, 0)]
    toy.finish()
    assert genotypes(algorithm.ask(toy, 3)) == []


@EVERY_QUICK
def test_warm_trials_are_learnt_from_and_not_repeated(name: str, run: MakeRun) -> None:
    earlier = run()
    earlier.go(ALGORITHMS["random"](earlier.problem, seed=0), evaluations=40)
    later = run()
    later.go(ALGORITHMS[name](later.problem, seed=0, warm=earlier.trials), evaluations=20)
    fresh = {trial.genotype for trial in later.trials if trial.replicate == 0}
    assert len(fresh) >= 16 and not fresh & {trial.genotype for trial in earlier.trials}


@EVERY_QUICK
def test_scores_that_are_not_finite_are_not_learnt_from(name: str, run: MakeRun) -> None:
    toy = run()
    toy.go(ALGORITHMS["random"](toy.problem, seed=0), evaluations=24)
    toy.trials[3] = type(toy.trials[3])(**{**vars(toy.trials[3]), "scores": {"error": float("nan"), "macs": 1.0}})
    assert len(ALGORITHMS[name](toy.problem, seed=0).ask(toy, 2)) == 2


def test_the_catalogue_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'pymoo', 'optuna', 'sklearn', 'scipy', 'numpy', 'moocore'}"
    code = f"import sys, nas.algorithms.catalogue; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_toy_space_is_conditional() -> None:
    space = toy_problem().space
    assert space.size == 3**5 * 5
    assert space.canonical((1, 0, 0, 0, 0, 0, 2)) == (1, 0, 0, 0, 0, 0, 0)
