"""What an archive tells an algorithm, as arrays; read at each ask, quickly because unchanged trials are remembered.

The remembered part is a cache only: a fresh history that reads the same trials gives equal values in equal order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import Objective, to_points
from nas.algorithms.genes import Genes
from nas.problem import Problem, Trial
from search_spaces.space import Genotype


@dataclass(frozen=True)
class Snapshot:
    """Distinct finished architectures in order of their first trial, averaged over replicates; smaller is better.

    `ids` (k,) ascending, the same for the same architecture in every snapshot of a run; `points` (k, objectives),
    `replicates` (k,) finished trials of each, `violation` (k,) by how much limits are broken, in units of the limits
    (0 when all are kept), `noise` (objectives,) variance of one evaluation, pooled over replicates, with `freedom`
    degrees; `pending` (p, genes) distinct architectures now running that have no finished trial; `running` (k,)
    replicates under way of finished ones; `known` every genotype ever asked; `asked` the number of trials; `pruned_ids`
    (q,) of architectures stopped at a rung and never finished, `forecasts` (q, objectives) what was expected of them.
    """

    ids: NDArray[np.int64]
    points: NDArray[np.float64]
    replicates: NDArray[np.int64]
    running: NDArray[np.int64]
    violation: NDArray[np.float64]
    noise: NDArray[np.float64]
    freedom: int
    pending: Genes
    known: set[Genotype]
    asked: int
    genes_by_id: Genes
    pruned_ids: NDArray[np.int64]
    forecasts: NDArray[np.float64]

    @cached_property
    def genes(self) -> Genes:
        """The genes of all of them (k, genes), gathered when they are asked for: they are most of what a snapshot weighs."""
        return self.genes_by_id[self.ids]

    @property
    def pruned(self) -> Genes:
        """The genes of the pruned (q, genes)."""
        return self.genes_by_id[self.pruned_ids]


class History:
    """Reads an archive's trials; `warm` are finished trials of an earlier run that count as if they were in it."""

    def __init__(self, problem: Problem, *, warm: Sequence[Trial] = ()) -> None:
        self._problem = problem
        self._warm = tuple(warm)
        self._reset()

    def read(self, trials: Sequence[Trial]) -> Snapshot:
        """The trials as arrays."""
        rows = trials if isinstance(trials, list) else list(trials)
        # A run appends trials and changes running ones: these alone are looked at, and then all are compared at once, by identity.
        changed = [i for i in sorted(self._running) if i < len(rows) and rows[i] is not self._seen[i]]
        as_before = all(rows[i].genotype == self._seen[i].genotype for i in changed)
        changed.extend(range(len(self._seen), len(rows)))
        for i in changed:
            self._seen[i : i + 1] = [rows[i]]
        if not as_before or self._seen != rows:
            self._reset()
            self._seen.extend(rows)
            changed = list(range(len(rows)))
        self._note((i, rows[i]) for i in changed)
        return self._snapshot(len(rows))

    def _reset(self) -> None:
        objectives, genes = len(self._problem.objectives), len(self._problem.space.choices)
        self._seen: list[Trial] = []
        self._running: set[int] = set()
        self._known: set[Genotype] = set()
        self._id_of: dict[Genotype, int] = {}
        self._trials_of: list[dict[int, Trial]] = []
        # By id: genes, mean points and violation of finished trials, their number, that of running ones, squared residuals.
        self._genes = np.zeros((0, genes), dtype=np.int64)
        self._points = np.zeros((0, objectives))
        self._violation = np.zeros(0)
        self._finished = np.zeros(0, dtype=np.int64)
        self._under_way = np.zeros(0, dtype=np.int64)
        self._forecast = np.zeros(0, dtype=np.int64)
        self._residual = np.zeros((0, objectives))
        self._note((i - len(self._warm), trial) for i, trial in enumerate(self._warm))

    def _note(self, rows: Iterable[tuple[int, Trial]]) -> None:
        """Takes up new and changed trials, given with their places in the archive (negative for warm ones)."""
        touched: dict[int, None] = {}
        for i, trial in rows:
            number = self._id_of.setdefault(trial.genotype, len(self._id_of))
            if number == len(self._trials_of):
                self._trials_of.append({})
                self._known.add(trial.genotype)
            self._trials_of[number][i] = trial
            touched[number] = None
            if trial.state == "running" and i >= 0:
                self._running.add(i)
            else:
                self._running.discard(i)
        self._grow(len(self._id_of))
        for number in touched:
            self._average(number)

    def _grow(self, rows: int) -> None:
        short = rows - len(self._finished)
        if short > 0:
            more = max(short, len(self._finished))
            for name in ("_genes", "_points", "_violation", "_finished", "_under_way", "_forecast", "_residual"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros((more, *old.shape[1:]), dtype=old.dtype)]))

    def _average(self, number: int) -> None:
        """Means of one architecture over its finished trials, in order of the archive."""
        objectives = self._problem.objectives
        trials = list(self._trials_of[number].values())
        done = [
            trial
            for trial in trials
            if trial.state == "finished" and all(isfinite(trial.scores.get(o.name, np.nan)) for o in objectives)
        ]
        self._genes[number] = trials[0].genotype
        self._under_way[number] = sum(trial.state == "running" for trial in trials)
        self._finished[number] = len(done)
        if done:
            points = to_points([trial.scores for trial in done], objectives)
            self._points[number] = points.mean(axis=0)
            self._residual[number] = ((points - self._points[number]) ** 2).sum(axis=0)
            self._violation[number] = sum(violation(self._problem, trial) for trial in done) / len(done)
        expected = [] if done else [scores for trial in trials if (scores := forecast_of(trial, objectives))]
        self._forecast[number] = len(expected)
        if expected:
            self._points[number] = to_points(expected[:1], objectives)[0]

    def _snapshot(self, asked: int) -> Snapshot:
        ids = len(self._id_of)
        finished, under_way = self._finished[:ids], self._under_way[:ids]
        done, pending = np.flatnonzero(finished), np.flatnonzero((under_way > 0) & (finished == 0))
        freedom = int(finished.sum()) - len(done)
        pruned = np.flatnonzero(self._forecast[:ids])
        return Snapshot(
            ids=done,
            points=self._points[done],
            replicates=finished[done],
            running=under_way[done],
            violation=self._violation[done],
            noise=self._residual[done].sum(axis=0) / max(freedom, 1),
            freedom=freedom,
            pending=self._genes[pending],
            known=self._known,
            asked=asked,
            genes_by_id=self._genes,
            pruned_ids=pruned,
            forecasts=self._points[pruned],
        )


def forecast_of(trial: Trial, objectives: Sequence[Objective]) -> Mapping[str, float] | None:
    """What a pruned trial was expected to end with, where its record says so."""
    if trial.state != "pruned":
        return None
    scores = trial.details.get("pruned", {}).get("scores", {})
    return scores if all(isfinite(scores.get(o.name, np.nan)) for o in objectives) else None


def violation(problem: Problem, trial: Trial) -> float:
    """By how much a trial's scores break the limits, summed, each in units of its own bound."""
    excess = 0.0
    for limit in problem.limits:
        if not limit.holds(trial.scores):
            excess += abs(trial.scores[limit.name] - limit.value) / max(abs(limit.value), 1e-12)
    return excess
