"""What a search will cost, estimated before anything is spent: two networks are trained for a few steps; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas.config import SearchConfig
from nas.errors import UserError
from nas.plan import Plan, prepare
from nas.progress import clock

SAMPLES = 64
STEPS = 6
TIMING_SECONDS = 1.0
DATA_OPTIONS = ("data_dir", "skip_broken", "train_images")


@dataclass(frozen=True)
class Estimate:
    """Seconds of one trial for two measured networks, small and large, and for the search: likely, and a low and a high end."""

    measured: tuple[tuple[float, float], ...]
    trial_seconds: float
    low: float
    high: float

    def hours(self, seconds: float, *, budget: int, workers: int) -> float:
        """Hours of a whole search with trials of so many seconds."""
        return budget * seconds / workers / 3600


def estimate(plan: Plan, config: SearchConfig) -> Estimate:
    """Times a small and a large network of a sample of the space, and lays a line through them by MACs.

    The low and the high end are the quartiles of the sample: where on the front a search spends its trials is not known before.
    """
    generator = np.random.default_rng(config.seed)
    space = plan.problem.space
    genotypes = [g for g in (space.sample(generator) for _ in range(4 * SAMPLES)) if plan.problem.allows(g)][:SAMPLES]
    if len(genotypes) < 2:
        raise UserError("--limit leaves almost nothing of the space: 256 samples hold fewer than two that keep it")
    genotypes.sort(key=lambda g: plan.problem.count(g)["macs"])
    macs = np.array([plan.problem.count(g)["macs"] for g in genotypes])
    chosen = (len(genotypes) // 4, 3 * len(genotypes) // 4)
    seconds = [_trial_seconds(plan, space.decode(genotypes[i])) for i in chosen]
    slope = max(0.0, (seconds[1] - seconds[0]) / max(1.0, macs[chosen[1]] - macs[chosen[0]]))
    line = np.maximum(seconds[0] / 4, seconds[0] + slope * (macs - macs[chosen[0]]))
    timed = any(objective.kind == "timed" for objective in plan.problem.objectives)
    line = line + (TIMING_SECONDS * plan.workers if timed else 0.0)  # timing has the machine to itself
    low, high = np.quantile(line, [0.25, 0.75])
    measured = tuple((float(macs[i]), s) for i, s in zip(chosen, seconds, strict=True))
    return Estimate(measured, float(line.mean()), float(low), float(high))


def _trial_seconds(plan: Plan, architecture: Any) -> float:
    """Seconds that a trial of this architecture takes, from a training of a few steps on the same device."""
    import torch

    from evaluators.training.datasets import load
    from evaluators.training.train import evaluate, train
    from search_spaces.network import build

    if plan.device == "cpu":
        torch.set_num_threads(1)
    data = load(
        plan.spec.options["dataset"],
        **{name: plan.spec.options[name] for name in DATA_OPTIONS if name in plan.spec.options},
    )
    data = data.to(torch.device(plan.device)).at(architecture.resolution)
    recipe = plan.recipe
    rows = torch.arange(min(len(data.train), STEPS * recipe.batch_size), device=data.train.labels.device)
    few = replace(data, train=data.train.take(rows), _resized={})
    network = build(architecture).to(data.train.labels.device)
    short = replace(
        recipe, epochs=1, rungs=(), recalibrate=0, batch_size=min(recipe.batch_size, max(2, len(rows) // 2))
    )
    train(network, few, short, seed=0, resolution=architecture.resolution)  # warms up
    trained = train(network, few, short, seed=0, resolution=architecture.resolution)
    start = time.perf_counter()
    evaluate(network, data, data.validation)
    evaluation = time.perf_counter() - start
    step = trained.train_seconds / max(1, len(rows) // short.batch_size)
    steps = recipe.epochs * max(1, len(data.train) // recipe.batch_size)
    forward = evaluation * 256 / max(1, len(data.validation))
    return step * steps + evaluation + recipe.recalibrate * forward


def print_estimate(config: SearchConfig) -> None:
    """Prints the plan, the size of the space and what the search will cost.

    Raises:
        UserError: with every fault of the options.
    """
    plan = prepare(replace(config, download=False))
    _print_plan(plan, config)
    if plan.recipe.name == "table":
        print(f"{'cost':>12}  nothing is trained: scores are looked up")
        return
    found = estimate(plan, config)
    for name, (macs, seconds) in zip(("small", "large"), found.measured, strict=True):
        print(f"{name:>12}  {macs / 1e6:.3g} M MACs, {seconds:.1f} s a trial (a few steps measured)")
    likely, low, high = (
        found.hours(s, budget=config.budget, workers=plan.workers) for s in (found.trial_seconds, found.low, found.high)
    )
    unit = "GPU-hours" if plan.device == "cuda" else "core-hours"
    print(
        f"{'a trial':>12}  {found.trial_seconds:.1f} s on average, {found.low:.1f} to {found.high:.1f} s for half of the space"
    )
    print(
        f"{'the search':>12}  about {clock(3600 * likely)} ({likely * plan.workers:.3g} {unit}), "
        f"likely from {clock(3600 * low / 1.5)} to {clock(3600 * high * 1.5)}"
    )
    print("\nnothing was written; leave out --dry-run to start")


def _print_plan(plan: Plan, config: SearchConfig) -> None:
    data: Mapping[str, Any] = plan.data
    problem = plan.problem
    lines = {
        "space": f"{problem.space.name}: {problem.space.size:.3g} architectures, {len(problem.space.choices)} choices"
    }
    if "train" in data:
        lines["data"] = (
            f"{data['name']}: {data['train']} train, {data['validation']} validation images of "
            f"{data['channels']}×{data['resolution']}×{data['resolution']}, {data['classes']} classes"
        )
    lines["objectives"] = ", ".join(f"{o.name} ({o.goal}, {o.kind})" for o in problem.objectives)
    lines["limits"] = ", ".join(map(str, problem.limits)) or "none"
    lines["algorithm"] = f"{config.algorithm}, {config.budget} trials, seed {config.seed}"
    rungs = f", rungs at {', '.join(map(str, plan.recipe.rungs))}" if plan.recipe.rungs else ""
    lines["recipe"] = f"{plan.recipe.name}, {plan.recipe.epochs} epochs of batches of {plan.recipe.batch_size}{rungs}"
    lines["workers"] = f"{plan.workers} on {plan.device} ({config.backend})"
    for name, text in lines.items():
        print(f"{name:>12}  {text}")
