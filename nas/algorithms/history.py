"""What an archive tells an algorithm, as arrays; read at each ask, quickly because unchanged trials are remembered.

The remembered part is a cache only: a fresh history that reads the same trials gives equal values in equal order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, count
from operator import is_not

import numpy as np
from numpy.typing import NDArray

from evaluators.objective import to_points
from nas.algorithms.genes import Genes
from nas.problem import Problem, Trial
from search_spaces.space import Genotype

FINISHED, RUNNING, FAILED = 2, 1, 0


@dataclass(frozen=True)
class Snapshot:
    """Distinct finished architectures in order of their first trial, averaged over replicates; smaller is better.

    `genes` (k, genes), `points` (k, objectives), `replicates` (k,) finished trials of each, `violation` (k,) by how
    much limits are broken, in units of the limits (0 when all are kept), `noise` (objectives,) variance of one
    evaluation, pooled over replicates, with `freedom` degrees; `pending` (p, genes) distinct architectures now running
    that have no finished trial; `running` (k,) replicates under way of finished ones; `known` every genotype ever
    asked; `asked` the number of trials.
    """

    genes: Genes
    points: NDArray[np.float64]
    replicates: NDArray[np.int64]
    running: NDArray[np.int64]
    violation: NDArray[np.float64]
    noise: NDArray[np.float64]
    freedom: int
    pending: Genes
    known: set[Genotype]
    asked: int


class History:
    """Reads an archive's trials; `warm` are finished trials of an earlier run that count as if they were in it."""

    def __init__(self, problem: Problem, *, warm: Sequence[Trial] = ()) -> None:
        self._problem = problem
        self._warm = tuple(warm)
        self._reset()

    def read(self, trials: Sequence[Trial]) -> Snapshot:
        """The trials as arrays."""
        rows: Sequence[Trial] = [*self._warm, *trials] if self._warm else trials
        # A scan of all trials at each ask: ten thousand of them pass in a fraction of a millisecond so.
        changed = list(compress(count(), map(is_not, self._seen, rows)))
        if len(rows) < len(self._seen) or any(self._seen[i].genotype != rows[i].genotype for i in changed):
            self._reset()
            changed = []
        changed.extend(range(len(self._seen), len(rows)))
        self._grow(len(rows))
        for i in changed:
            self._note(i, rows[i])
        return self._snapshot(len(trials))

    def _reset(self) -> None:
        objectives, genes = len(self._problem.objectives), len(self._problem.space.choices)
        self._seen: list[Trial] = []
        self._group_of: dict[Genotype, int] = {}
        self._known: set[Genotype] = set()
        self._genes = np.zeros((0, genes), dtype=np.int64)
        self._points = np.zeros((0, objectives))
        self._violation = np.zeros(0)
        self._state = np.zeros(0, dtype=np.int64)
        self._group = np.zeros(0, dtype=np.int64)

    def _grow(self, rows: int) -> None:
        short = rows - len(self._state)
        if short > 0:
            more = max(short, len(self._state))
            for name in ("_genes", "_points", "_violation", "_state", "_group"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros((more, *old.shape[1:]), dtype=old.dtype)]))

    def _note(self, i: int, trial: Trial) -> None:
        if i == len(self._seen):
            self._seen.append(trial)
        self._seen[i] = trial
        genotype = trial.genotype
        self._known.add(genotype)
        self._genes[i] = genotype
        self._group[i] = self._group_of.setdefault(genotype, len(self._group_of))
        self._state[i] = {"running": RUNNING, "finished": FINISHED}.get(trial.state, FAILED)
        if self._state[i] == FINISHED:
            objectives = self._problem.objectives
            if all(np.isfinite(trial.scores.get(objective.name, np.nan)) for objective in objectives):
                self._points[i] = to_points([trial.scores], objectives)[0]
                self._violation[i] = violation(self._problem, trial)
            else:
                self._state[i] = FAILED

    def _snapshot(self, asked: int) -> Snapshot:
        rows = len(self._seen)
        state, group = self._state[:rows], self._group[:rows]
        groups = len(self._group_of)
        finished, running = np.flatnonzero(state == FINISHED), np.flatnonzero(state == RUNNING)
        counts = np.bincount(group[finished], minlength=groups)
        under_way = np.bincount(group[running], minlength=groups)
        first = np.zeros(groups, dtype=np.int64)
        first[group[::-1]] = np.arange(rows)[::-1]
        done = np.flatnonzero(counts)
        share = np.maximum(counts, 1)
        means = np.stack(
            [np.bincount(group[finished], column[finished], groups) / share for column in self._points[:rows].T], axis=1
        )
        residual = self._points[finished] - means[group[finished]]
        freedom = int((counts[done] - 1).sum())
        pending = np.flatnonzero((under_way > 0) & (counts == 0))
        return Snapshot(
            genes=self._genes[first[done]],
            points=means[done],
            replicates=counts[done],
            running=under_way[done],
            violation=(np.bincount(group[finished], self._violation[finished], groups) / share)[done],
            noise=(residual**2).sum(axis=0) / max(freedom, 1),
            freedom=freedom,
            pending=self._genes[first[pending]],
            known=self._known,
            asked=asked,
        )


def violation(problem: Problem, trial: Trial) -> float:
    """By how much a trial's scores break the limits, summed, each in units of its own bound."""
    excess = 0.0
    for limit in problem.limits:
        if not limit.holds(trial.scores):
            excess += abs(trial.scores[limit.name] - limit.value) / max(abs(limit.value), 1e-12)
    return excess
