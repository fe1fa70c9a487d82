"""What algorithms remember between calls is a cache: whatever happens to an archive, it agrees with one read afresh."""

from dataclasses import fields, replace

import numpy as np
import pytest
from algorithm_toys import ERROR, MACS, Run, toy_problem, toy_scores

from nas.algorithms.history import History, Snapshot
from nas.algorithms.nsga2 import best_fronts
from nas.algorithms.skyband import PIECE, Skyband
from nas.problem import Limit, Proposal


def same(left: Snapshot, right: Snapshot) -> bool:
    """Every field and the genes to the last bit; where an architecture is remembered is its own affair."""
    names = [field.name for field in fields(Snapshot) if field.name != "genes_by_id"] + ["genes"]
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names if name != "known") and (
        left.known == right.known
    )


@pytest.mark.parametrize("warm", [0, 5])
def test_a_history_that_followed_equals_a_fresh_one(warm: int) -> None:
    draw = np.random.default_rng(warm)
    earlier = Run(toy_problem())
    earlier.start([Proposal(earlier.problem.space.sample(draw)) for _ in range(warm)])
    earlier.finish()
    toy = Run(toy_problem(limits=(Limit("error", "<=", 10.0),)))
    followed = History(toy.problem, warm=earlier.trials)
    for _ in range(80):
        toy.start([Proposal(toy.problem.space.sample(draw), replicate=i) for i in range(draw.integers(3))])
        for i, trial in enumerate(toy.trials):
            if trial.state == "running" and draw.random() < 0.3:
                state = draw.choice(["finished", "finished", "failed"])
                scores = toy_scores(trial.genotype, seed=int(draw.integers(9)))
                toy.trials[i] = replace(trial, state=state, scores=scores if state == "finished" else trial.scores)
        assert same(followed.read(toy.trials), History(toy.problem, warm=earlier.trials).read(toy.trials))
    assert followed.read(toy.trials).freedom > 0


def test_a_history_notices_what_no_run_does() -> None:
    toy = Run(toy_problem())
    toy.start([Proposal(toy.problem.space.sample(np.random.default_rng(i))) for i in range(30)])
    toy.finish()
    followed = History(toy.problem)
    before = followed.read(toy.trials)
    other = replace(toy.trials[4], scores=toy.trials[5].scores)
    for trials in (toy.trials[:10], [*toy.trials[:4], other, *toy.trials[5:]], toy.trials[::-1], []):
        assert same(followed.read(trials), History(toy.problem).read(trials))
    assert same(followed.read(tuple(toy.trials)), before)


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_the_skyband_holds_every_front_that_is_looked_at(objectives: int, ties: bool) -> None:
    draw = np.random.default_rng(objectives)
    points = draw.integers(12, size=(600, objectives)).astype(float) if ties else draw.random((600, objectives))
    ids = np.sort(draw.choice(2000, 600, replace=False))
    arrives = draw.permutation(600)
    band = Skyband(20)
    for there in (0, 3, 40, 41, 45, 100, 100 + PIECE + 9, 600):
        rows = np.sort(arrives[:there])
        found = band.rows(ids[rows], points[rows])
        assert found.tolist() == Skyband(20).rows(ids[rows], points[rows]).tolist()
        over = (points[rows][:, None] <= points[rows]).all(axis=2) & (points[rows][:, None] < points[rows]).any(axis=2)
        assert found.tolist() == np.flatnonzero(over.sum(axis=0) < 20).tolist()
        wanted = best_fronts(points[rows], 20)
        assert [found[front].tolist() for front in best_fronts(points[rows][found], 20)] == [f.tolist() for f in wanted]
    assert len(found) < 600


def test_the_skyband_notices_a_point_that_changed_or_went() -> None:
    draw = np.random.default_rng(0)
    ids, points = np.arange(200), draw.random((200, 2))
    band = Skyband(5)
    first = band.rows(ids, points)
    points[first[0]] = 2.0, 2.0
    assert first[0] not in band.rows(ids, points)
    without = np.delete(ids, first[1])
    assert band.rows(without, points[without]).tolist() == Skyband(5).rows(without, points[without]).tolist()


def test_a_long_history_is_read_quickly() -> None:
    """Ten thousand finished trials and one that changes: milliseconds are the machine's, their ratio to a fresh read is ours."""
    from time import process_time

    from nas.problem import Trial

    problem = toy_problem(objectives=(ERROR, MACS))
    draw = np.random.default_rng(0)
    trials = [
        Trial(i, problem.space.sample(draw), f"{i:016x}", {}, 0, "finished", {"error": float(i), "macs": float(-i)})
        for i in range(10_000)
    ]
    history = History(problem)
    start = process_time()
    history.read(trials)
    fresh = process_time() - start
    start = process_time()
    for i in range(20):
        trials.append(replace(trials[i], number=len(trials), state="running"))
        history.read(trials)
    assert process_time() - start < fresh
