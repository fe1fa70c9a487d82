"""How sure a front is: the probability of each member to be non-dominated, from seed noise and latency spread; it knows no store.

Trained fractions: the variance of one training is φ·p(1 − p)/n, with p the accuracy and n the validation images. φ is pooled over the
architectures that were trained with several seeds, beside a prior of φ = 1 that weighs as much as four of them; an architecture
trained r times has 1/r of the variance. Timed objectives have the spread of their own measurement. Counted ones are exact, and so is
what a table told. Draws are centred on the measured means, so that a lucky member looks surer than it is until it is trained again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import Objective, to_points
from nas import pareto
from nas.members import Member, members
from nas.problem import Archive, Problem, Proposal, Trial

DRAWS = 1000
PRIOR_WEIGHT = 4.0
FRACTIONS = {"fraction": 1.0, "%": 100.0}


@dataclass(frozen=True)
class Noise:
    """φ by objective, how many repeated trainings it rests on, and the validation images n."""

    factors: Mapping[str, float]
    repeats: int
    images: int


def noise_of(trials: Sequence[Trial], objectives: Sequence[Objective], *, images: int) -> Noise:
    """The pooled noise of the trained fractions among the objectives."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state == "finished":
            groups.setdefault(trial.key, []).append(trial)
    repeated = [group for group in groups.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated)
    factors = {}
    for objective in objectives:
        if objective.kind != "trained" or objective.unit not in FRACTIONS:
            continue
        squares = 0.0
        for group in repeated:
            values = np.array([trial.scores[objective.name] for trial in group]) / FRACTIONS[objective.unit]
            squares += float(((values - values.mean()) ** 2).sum() / _binomial(values.mean(), images))
        factors[objective.name] = (PRIOR_WEIGHT + squares) / (PRIOR_WEIGHT + freedom)
    return Noise(factors, freedom, images)


def deviation(member: Member, objective: Objective, noise: Noise) -> float:
    """The standard deviation of a member's score, in the objective's unit."""
    if objective.name in noise.factors:
        unit = FRACTIONS[objective.unit]
        p = member.scores[objective.name] / unit
        variance = noise.factors[objective.name] * _binomial(p, noise.images) / member.replicates
        return float(unit * np.sqrt(variance))
    spread = member.trial.details.get("latency")
    if objective.kind == "timed" and isinstance(spread, Mapping) and {"lower_ms", "upper_ms"} <= set(spread):
        return max(0.0, float(spread["upper_ms"]) - float(spread["lower_ms"])) / (2 * 1.96)
    return 0.0


def confidence(trials: Sequence[Trial], objectives: Sequence[Objective], *, images: int) -> dict[str, float]:
    """The probability that an architecture is non-dominated, by key, for all that finished: a Monte Carlo of 1,000 draws, fewer of long runs."""
    everyone = members(trials)
    if not everyone:
        return {}
    noise = noise_of(trials, objectives, images=images)
    points = to_points([member.scores for member in everyone], objectives)
    spread = np.array([[deviation(member, o, noise) for o in objectives] for member in everyone])
    shares = _shares(points, spread)
    return {member.trial.key: float(share) for member, share in zip(everyone, shares, strict=True)}


def _shares(points: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often each of (n, m) points, each value drawn anew with its deviation, is non-dominated: (n,)."""
    generator = np.random.default_rng(0)
    few = np.flatnonzero(_contenders(points, spread))
    # A long run has so many contenders that fewer draws must do: 100 of them are within 10 % at 95 %.
    draws = 1 if not spread.any() else max(100, min(DRAWS, 1_000_000 // len(few)))
    wins = np.zeros(len(points))
    for _ in range(draws):
        drawn = points[few] + spread[few] * generator.standard_normal((len(few), points.shape[1]))
        wins[few] += pareto.non_dominated(drawn)
    shares: NDArray[np.float64] = wins / draws
    return shares


def _contenders(points: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of (n, m) points may be non-dominated at all: at their best no other dominates them at its worst, four deviations away."""
    best, worst = points - 4 * spread, points + 4 * spread
    front = np.unique(worst[pareto.non_dominated(worst)], axis=0)[None]
    beaten = np.all(front <= best[:, None], axis=2) & np.any(front < best[:, None], axis=2)
    contenders: NDArray[np.bool_] = ~np.any(beaten, axis=1)
    return contenders


def _binomial(p: float, images: int) -> float:
    """The variance of a share of n images; near 0 and 1 that of half an image more or less, since it is never quite 0."""
    least = 0.5 / images
    q = min(max(float(p), least), 1 - least)
    return q * (1 - q) / images


@dataclass(frozen=True)
class Settler:
    """An algorithm that asks for known architectures again, with another seed, where that settles the front most.

    The gain of a training is taken as c(1 − c)/(r(r + 1)): c is the probability of being non-dominated, r how often it was trained,
    and σ²/(r(r + 1)) what one more training takes off the variance of its mean.
    """

    problem: Problem
    images: int

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n proposals, all of them replicates; none of an architecture that is being trained."""
        trials = archive.trials
        sure = confidence(trials, self.problem.objectives, images=self.images)
        busy = {trial.key for trial in trials if trial.state == "running"}
        last: dict[str, int] = {}
        for trial in trials:
            last[trial.key] = max(last.get(trial.key, 0), trial.replicate)
        gains = []
        for member in members(trials):
            key, r, c = member.trial.key, member.replicates, sure[member.trial.key]
            if key not in busy:
                gains.append((-c * (1 - c) / (r * (r + 1)), -c, member.trial.number, member))
        return [
            Proposal(m.trial.genotype, replicate=last[m.trial.key] + 1)
            for *_, m in sorted(gains, key=lambda g: g[:3])[:n]
        ]
