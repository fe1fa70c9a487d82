"""One evaluation in a worker: scores, details and weights, and every kind of failure as an outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from evaluators.evaluation import Evaluation, EvaluatorSpec, InfeasibleError, TrainingEvaluator, failed
from evaluators.objective import OBJECTIVES, to_points
from evaluators.training.recipe import Recipe
from search_spaces.architecture import Architecture, Stage, Stem

ARCHITECTURE = Architecture(1, 8, 10, Stem(4), (Stage.of("conv1x1", depth=1, width=8, stride=2),))
RECIPE = Recipe(epochs=1, batch_size=64)
JOB = Evaluation(3, "train", ARCHITECTURE.to_json(), RECIPE.to_json(), seed=5)


@pytest.fixture(scope="module")
def evaluator() -> TrainingEvaluator:
    return TrainingEvaluator(dataset="digits")


def test_training_gives_scores_details_and_weights(evaluator: TrainingEvaluator, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    outcome = evaluator.run(replace(JOB, weights=str(file)))
    assert outcome.failure is None and outcome.number == 3 and set(outcome.scores) == {"accuracy"}
    assert {"seconds", "loss", "macs_by_stage", "worker", "epochs", "peak_memory_mb"} <= set(outcome.details)
    assert outcome.details["seconds"]["total"] >= outcome.details["seconds"]["train"] > 0
    assert len(load_file(file)) > 5 and not list(tmp_path.glob("*.part"))
    assert evaluator.run(JOB).scores == outcome.scores
    assert evaluator.run(replace(JOB, seed=6)).details["loss"] != outcome.details["loss"]


def test_a_trial_goes_on_from_its_rung_and_begins_anew_where_its_state_is_lost(
    evaluator: TrainingEvaluator, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=2, rungs=(1,)).to_json()
    whole = evaluator.run(replace(JOB, recipe=recipe, weights=str(tmp_path / "whole")))
    first = replace(JOB, recipe=recipe, weights=str(tmp_path / "w"), until=1)
    rung = evaluator.run(first)
    assert rung.scores["accuracy"] != whole.scores["accuracy"] and rung.details["epochs"] == 1
    assert not (tmp_path / "w").exists() and (tmp_path / "w.state").exists()
    second = replace(first, after=1, until=0)
    ends = [evaluator.run(second)]
    (tmp_path / "w.state").write_bytes((tmp_path / "w.state").read_bytes()[:1000])
    ends.append(evaluator.run(second))
    (tmp_path / "w.state").unlink()
    ends.append(evaluator.run(second))
    assert [(end.scores, end.details["loss"]) for end in ends] == [(whole.scores, whole.details["loss"])] * 3
    assert load_file(tmp_path / "w").keys() == load_file(tmp_path / "whole").keys()


def test_timing(evaluator: TrainingEvaluator) -> None:
    outcome = evaluator.run(replace(JOB, phase="time"))
    spread = outcome.details["latency"]
    assert spread["lower_ms"] <= outcome.scores["latency_ms"] <= spread["upper_ms"] and spread["batch_size"] == 1


def test_failures_come_back_as_outcomes(evaluator: TrainingEvaluator) -> None:
    runaway = replace(RECIPE, learning_rate=1e18, clip=0.0, warmup=0.0)
    bad = {**ARCHITECTURE.to_json(), "stages": [{"mixer": "none", "depth": 1, "width": 8, "stride": 1}]}
    for job, kind in (
        (replace(JOB, recipe=runaway.to_json()), "diverged"),
        (replace(JOB, timeout=1e-9), "timed_out"),
        (replace(JOB, architecture=bad), "infeasible"),
        (replace(JOB, recipe={"epoch": 1}), "error"),
    ):
        outcome = evaluator.run(job)
        assert outcome.failure == kind and outcome.message and not outcome.scores


def test_kinds_of_exceptions() -> None:
    for error, kind in (
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "out_of_memory"),
        (InfeasibleError("no"), "infeasible"),
        (RuntimeError("some bug"), "error"),
    ):
        assert failed(JOB, error).failure == kind


def test_other_images_than_the_drivers_are_refused() -> None:
    spec = EvaluatorSpec("evaluators.evaluation:TrainingEvaluator", {"dataset": "digits", "checksum": "0" * 16})
    with pytest.raises(
        ValueError, match="on this worker and 0000000000000000 on the driver: give every node the same files"
    ):
        spec.make()


def test_goals_become_signs() -> None:
    objectives = [OBJECTIVES["accuracy"], OBJECTIVES["macs"]]
    assert np.array_equal(to_points([{"accuracy": 0.5, "macs": 3.0, "params": 1.0}], objectives), [[-0.5, 3.0]])
    assert to_points([], objectives).shape == (0, 2)
