"""The loop over stub evaluators: budget, failures, limits, timing, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluators.evaluation import EvaluatorSpec
from evaluators.objective import OBJECTIVES
from nas.algorithms.catalogue import ALGORITHMS
from nas.archive import Archive
from nas.loop import FAILURES_IN_A_ROW, Loop, seed_of
from nas.members import hypervolume
from nas.problem import Limit, Problem, Proposal
from nas.run import RunFolder
from nas.workers.in_process import InProcess
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.space import Choice, Space


def toy_space(options: int = 6) -> Space[Architecture]:
    def decode(values: Any) -> Architecture:
        stages = [Stage.of("conv1x1", depth=1, width=values[f"stage{i}.width"], stride=1) for i in (1, 2, 3)]
        return Architecture(1, 8, 10, Stem(4), tuple(stages))

    return Space("toy", tuple(Choice(f"stage{i}.width", tuple(range(4, 4 + options))) for i in (1, 2, 3)), decode)


def make_loop(
    path: Path,
    *,
    budget: int = 20,
    names: tuple[str, ...] = ("accuracy", "macs"),
    limits: tuple[Limit, ...] = (),
    algorithm: str = "random",
    options: int = 6,
    rungs: tuple[int, ...] = (),
    stop_below: float = 0.1,
    **stub: Any,
) -> Loop:
    space = toy_space(options)
    objectives = tuple(OBJECTIVES[name] for name in names)

    def count(genotype: tuple[int, ...]) -> dict[str, float]:
        return {"macs": float(np.prod(np.array(genotype) + 1)), "params": float(sum(genotype))}

    problem = Problem(space, objectives, limits, count)
    folder = RunFolder(path)
    path.mkdir(exist_ok=True)
    folder.weights.mkdir(exist_ok=True)
    (path / "environment.json").write_text('{"format": 1}')
    if folder.journal.exists():
        archive = Archive.open(path, space=space)
    else:
        archive = Archive.create(
            folder, space=space, objectives=objectives, limits=limits, recipe={"name": "stub"}, frame={}
        )
    return Loop(
        problem=problem,
        algorithm=ALGORITHMS[algorithm](problem, seed=0),
        workers=InProcess(EvaluatorSpec("tests.stubs:Instant", stub)),
        archive=archive,
        folder=folder,
        recipe={"epochs": 9, "rungs": list(rungs)},
        seed=0,
        budget=budget,
        stop_below=stop_below,
    )


def test_budget_is_exact_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    loop = make_loop(tmp_path / "run", budget=30, log=str(log))
    assert loop.run() == "budget"
    trials = loop.archive.trials
    assert len(loop.archive.having("finished")) == 30
    assert len({trial.key for trial in trials}) == len(trials) == len(log.read_text().splitlines())


def test_failures_are_trials_of_their_kind_and_do_not_spend_budget(tmp_path: Path) -> None:
    faults = {"raise": 0.1, "diverge": 0.2, "memory": 0.3, "junk": 0.4, "nan": 0.45, "missing": 0.5}
    loop = make_loop(tmp_path / "run", budget=40, faults=faults)
    assert loop.run() == "budget"
    assert len(loop.archive.having("finished")) == 40
    failed = loop.archive.having("failed")
    assert {trial.failure for trial in failed} == {"error", "diverged", "out_of_memory"}
    assert all(trial.message and "accuracy" not in trial.scores for trial in failed)
    messages = " ".join(trial.message for trial in failed)
    for part in ("a stub raised", "returned dict", "accuracy = nan", "gave no accuracy"):
        assert part in messages


def test_a_search_that_only_fails_ends(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=40, faults={"raise": 1.0})
    assert loop.run() == "failures"
    assert len(loop.archive.trials) == FAILURES_IN_A_ROW


def test_a_space_that_is_used_up_ends(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=40, options=2)
    assert loop.run() == "exhausted"
    assert len(loop.archive.having("finished")) == 8


@pytest.mark.parametrize("algorithm", ["random", "nsga2"])
def test_limits_reject_before_training(tmp_path: Path, algorithm: str) -> None:
    limits = (Limit("macs", "<=", 20), Limit("params", ">=", 2))
    loop = make_loop(tmp_path / "run", budget=15, limits=limits, algorithm=algorithm)
    assert loop.run() == "budget"
    assert all(limit.holds(trial.scores) for trial in loop.archive.trials for limit in limits)
    assert loop.problem.rejected


def test_timed_objectives_are_timed_when_nothing_trains(tmp_path: Path) -> None:
    log = tmp_path / "log"
    loop = make_loop(tmp_path / "run", budget=7, names=("accuracy", "macs", "latency_ms"), log=str(log))
    assert loop.run() == "budget"
    assert all(set(t.scores) == {"accuracy", "macs", "params", "latency_ms"} for t in loop.archive.trials)
    phases = [line.split()[1] for line in log.read_text().splitlines()]
    assert phases.count("train") == phases.count("time") == 7


def test_counted_objectives_alone_need_no_worker(tmp_path: Path) -> None:
    log = tmp_path / "log"
    loop = make_loop(tmp_path / "run", budget=7, names=("params", "macs"), log=str(log))
    assert loop.run() == "budget"
    assert not log.exists()


def test_resume_evaluates_what_was_running_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = make_loop(tmp_path / "run", budget=5, log=str(log), names=("accuracy", "macs", "latency_ms"))
    first.run()
    untrained = first._new(first.algorithm.ask(first.archive, 1)[0])
    trained = first._new(first.algorithm.ask(first.archive, 1)[0])
    first.archive.measured(trained.number, scores={"accuracy": 0.5}, details={"seconds": {"total": 1.0}})
    log.unlink()

    second = make_loop(tmp_path / "run", budget=7, log=str(log), names=("accuracy", "macs", "latency_ms"))
    assert [t.state for t in second.archive.trials] == ["finished"] * 5 + ["running"] * 2
    assert second.run() == "budget"
    done = set(log.read_text().splitlines())
    assert done == {f"{untrained.number} train", f"{untrained.number} time", f"{trained.number} time"}
    assert second.archive.trials[trained.number].scores["accuracy"] == 0.5
    again = Archive.open(tmp_path / "run", space=second.problem.space)
    assert list(again.trials) == list(second.archive.trials)


def test_stop_leaves_what_is_under_way_running(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=20)
    loop.on_change = lambda trial: loop.stop(seconds=0) if len(loop.archive.having("finished")) == 3 else None
    assert loop.run() == "interrupted"
    assert len(loop.archive.having("finished")) == 3


def test_a_trials_seed_depends_on_run_architecture_and_replicate_alone() -> None:
    seeds = {seed_of(run, key=key, replicate=r) for run in (0, 1) for key in ("a", "b") for r in (0, 1)}
    assert len(seeds) == 8
    assert seed_of(0, key="a", replicate=0) == 421840386


def test_at_rungs_what_cannot_enter_the_front_is_pruned(tmp_path: Path) -> None:
    log = tmp_path / "log"
    loop = make_loop(tmp_path / "run", budget=40, rungs=(1, 3), log=str(log), weights=True)
    assert loop.run() == "budget"
    pruned, finished = loop.archive.having("pruned"), loop.archive.having("finished")
    assert len(pruned) + len(finished) == 40 and len(pruned) > 10 and loop.archive.spent == 40
    for trial in pruned:
        assert "accuracy" not in trial.scores and trial.details["pruned"]["probability"] < 0.1
        assert [step["epoch"] for step in trial.details["curve"]] in ([1], [1, 3])
    jobs = [line.split() for line in log.read_text().splitlines()]
    for trial in finished:
        assert [job[2] for job in jobs if job[0] == str(trial.number)] == ["0-1", "1-3", "3-0"]
    # The stub's accuracy at a rung is the final one, so that what was stopped is known to be worth next to nothing.
    ended = [
        replace(t, state="finished", scores={**t.scores, "accuracy": t.details["curve"][-1]["accuracy"]})
        for t in pruned
    ]
    volumes = [
        hypervolume(some, loop.problem.objectives, frame={}) or 0.0
        for some in (loop.archive.trials, [*loop.archive.trials, *ended])
    ]
    assert volumes[1] < 1.01 * volumes[0]
    assert len(list(loop.folder.weights.glob("*.safetensors"))) == len(finished)
    assert not list(loop.folder.weights.glob("*.state"))


def test_rungs_without_a_threshold_stop_nothing(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=20, rungs=(1, 3), stop_below=0.0)
    assert loop.run() == "budget"
    assert len(loop.archive.having("finished")) == 20
    assert all(len(trial.details["curve"]) == 2 for trial in loop.archive.trials)


def test_a_resume_goes_on_from_the_rung(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = make_loop(tmp_path / "run", budget=3, rungs=(1, 3), log=str(log))
    first.run()
    trial = first._new(first.algorithm.ask(first.archive, 1)[0])
    first.archive.measured(trial.number, scores={}, details={"curve": [{"epoch": 1, "accuracy": 0.5}]})
    log.unlink()
    second = make_loop(tmp_path / "run", budget=4, rungs=(1, 3), log=str(log))
    assert second.run() == "budget"
    assert log.read_text().splitlines() == [f"{trial.number} train 1-3", f"{trial.number} train 3-0"]
    assert [step["epoch"] for step in second.archive.trials[trial.number].details["curve"]] == [1, 3]
    again = Archive.open(tmp_path / "run", space=second.problem.space)
    assert [t.state for t in again.trials] == [t.state for t in second.archive.trials]


def test_after_a_stop_a_trial_stays_at_its_rung(tmp_path: Path) -> None:
    loop = make_loop(tmp_path / "run", budget=3, rungs=(1, 3))
    loop._start()
    loop.stop(seconds=5)
    assert loop.run() == "interrupted"
    (trial,) = loop.archive.trials
    assert trial.state == "running" and len(trial.details["curve"]) == 1


def test_another_seed_of_a_known_architecture_is_never_judged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    loop = make_loop(tmp_path / "run", budget=30, rungs=(1, 3), log=str(log))
    loop.run()
    worst = min(loop.archive.having("finished"), key=lambda trial: trial.scores["accuracy"])
    log.unlink()
    loop.budget = 31
    loop._advance(loop._new(Proposal(worst.genotype, replicate=1)))
    assert loop.run() == "budget"
    assert log.read_text().splitlines() == ["30 train"]
    assert loop.archive.trials[30].state == "finished"
