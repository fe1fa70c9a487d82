"""An audit: the same networks trained by every rung and by the reference, several seeds each; it knows no argv and no files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import numpy as np

from evaluators.counts import count
from evaluators.evaluation import Evaluation
from nas.audits import fidelity
from nas.audits.config import AuditConfig
from nas.audits.record import FORMAT
from nas.audits.trainings import Trainings
from nas.errors import UserError
from nas.loop import seed_of
from nas.plan import Plan
from nas.workers.catalogue import BACKENDS
from search_spaces.architecture import Architecture

logger = logging.getLogger(__name__)
SAMPLES = 400
Report = Callable[[int, int, float], None]
# Epochs, seed and network of one training.
Place = tuple[int, int, int]


def networks_of(config: AuditConfig, plan: Plan, *, run: str | None) -> list[Architecture]:
    """A spread of networks by MACs: of those that a run has evaluated, or of a sample of the space.

    Raises:
        UserError: there are too few.
    """
    problem = plan.problem
    if run is None:
        generator = np.random.default_rng([config.seed, 0xA0D17])
        genotypes = {problem.space.sample(generator) for _ in range(SAMPLES)}
        allowed = [genotype for genotype in sorted(genotypes) if problem.allows(genotype)]
        found = [problem.space.decode(genotype) for genotype in allowed]
    else:
        from nas.archive import Archive
        from nas.members import members

        found = [Architecture.from_json(m.trial.architecture) for m in members(Archive.open(run).trials)]
    if len(found) < config.networks:
        raise UserError(
            f"--networks {config.networks} networks are needed and {len(found)} are there: ask for fewer, or wait"
        )
    costs = np.array([count(architecture)["macs"] for architecture in found])
    return [found[i] for i in fidelity.spread(costs, networks=config.networks)]


def study(
    config: AuditConfig, plan: Plan, networks: Sequence[Architecture], *, trainings: Trainings, report: Report
) -> dict[str, Any]:
    """Trains what `trainings` does not hold and returns the audit as plain data; `report` hears of trainings done, of all, and seconds gone.

    Raises:
        UserError: fewer than four networks came through every training.
    """
    rungs = sorted({int(text) for text in config.rungs})
    if config.epochs <= rungs[-1]:
        raise UserError(
            f"--epochs of the long training must exceed the longest rung, got {config.epochs} and {rungs[-1]}"
        )
    found = _train_all(config, plan, networks, [*rungs, config.epochs], trainings, report)
    scores, seconds = found["accuracy"], found["seconds"]
    whole = np.isfinite(np.stack(list(scores.values()))).all(axis=(0, 1))
    if whole.sum() < fidelity.LEAST:
        raise UserError(
            f"{int(whole.sum())} of {len(networks)} networks could be trained by every rung, too few: see --limit"
        )
    kept = {epochs: table[:, whole] for epochs, table in scores.items()}
    long = kept[config.epochs]
    reference = long.mean(axis=0)
    rows = {}
    for epochs in rungs:
        row = asdict(fidelity.agreement(kept[epochs], reference))
        row |= {"seed_noise": fidelity.seed_noise(kept[epochs]), "seconds": float(np.nanmean(seconds[epochs]))}
        rows[str(epochs)] = row | {"accuracies": kept[epochs].tolist()}
    counts = [count(a) for a, ok in zip(networks, whole, strict=True) if ok]
    return {
        "format": FORMAT,
        "date": date.today().isoformat(),
        "space": config.space,
        "data": dict(plan.data),
        "train_images": config.train_images,
        "limits": list(config.limit),
        "recipe": plan.recipe.to_json(),
        "networks": int(whole.sum()),
        "failed": int((~whole).sum()),
        "keys": [a.key for a, ok in zip(networks, whole, strict=True) if ok],
        "macs": [c["macs"] for c in counts],
        "epochs": config.epochs,
        "seeds": config.seeds,
        "best_quarter": fidelity.best_quarter(int(whole.sum())),
        "rungs": rows,
        "counts": {n: asdict(fidelity.agreement([c[n] for c in counts], reference)) for n in ("macs", "params")},
        "reference": long.tolist(),
        "reference_noise": fidelity.seed_noise(long),
        "reference_seconds": float(np.nanmean(seconds[config.epochs])),
        "worst": float(reference.min()),
        "best": float(reference.max()),
        "ceiling": fidelity.ceiling(long),
        "wanted": config.wanted,
        "cheapest": fidelity.cheapest({int(e): row["tau"] for e, row in rows.items()}, wanted=config.wanted),
    }


def _train_all(
    config: AuditConfig,
    plan: Plan,
    networks: Sequence[Architecture],
    rungs: Sequence[int],
    trainings: Trainings,
    report: Report,
) -> dict[str, dict[int, Any]]:
    """Accuracies and seconds by epochs, each an array (seeds, networks), NaN where a training failed."""
    shape = (config.seeds, len(networks))
    found = {name: {epochs: np.full(shape, np.nan) for epochs in rungs} for name in ("accuracy", "seconds")}
    jobs = _jobs(config, plan, networks, rungs)

    def enter(place: Place, training: tuple[float, float]) -> None:
        epochs, seed, i = place
        found["accuracy"][epochs][seed, i], found["seconds"][epochs][seed, i] = training

    waiting = []
    for place, job in jobs:
        known = trainings.recall(job)
        if known is None:
            waiting.append(job)
        else:
            enter(place, known)
    if len(waiting) < len(jobs):
        logger.warning(
            "%d of %d trainings are known from an audit that was broken off", len(jobs) - len(waiting), len(jobs)
        )
    workers = BACKENDS[config.backend](plan.spec, workers=plan.workers, gpus=plan.gpus)
    start, told, done, under_way, all_ = time.monotonic(), time.monotonic(), 0, 0, len(waiting)
    try:
        while done < all_:
            while waiting and under_way < workers.capacity:
                workers.submit(waiting.pop(0))
                under_way += 1
            for outcome in workers.wait(1.0):
                place, job = jobs[outcome.number]
                if outcome.failure is None:
                    enter(place, trainings.keep(job, outcome))
                else:
                    logger.warning(
                        "network %s failed (%s): %s", networks[place[2]].key, outcome.failure, outcome.message
                    )
                done += 1
                under_way -= 1
            if time.monotonic() - told > 20:
                told = time.monotonic()
                report(done, all_, told - start)
    finally:
        workers.close()
    return found


def _jobs(
    config: AuditConfig, plan: Plan, networks: Sequence[Architecture], rungs: Sequence[int]
) -> list[tuple[Place, Evaluation]]:
    places = [(epochs, seed, i) for i in range(len(networks)) for seed in range(config.seeds) for epochs in rungs]
    return [
        (
            place,
            Evaluation(
                number,
                "train",
                networks[place[2]].to_json(),
                replace(plan.recipe, epochs=place[0]).to_json(),
                # The long training draws other seeds than the short ones, or they would agree by their common start.
                seed_of(config.seed + 1000 * place[0], key=networks[place[2]].key, replicate=place[1]),
            ),
        )
        for number, place in enumerate(places)
    ]
