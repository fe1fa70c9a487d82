"""Evaluation by looking up a table of networks that others have trained; it knows no torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from evaluators.evaluation import Evaluation, InfeasibleError, Outcome, failed
from search_spaces.table import Table, read_table


class TableEvaluator:
    """Answers with a row's measured scores; of a metric with several seeds, the one that the trial's seed draws."""

    def __init__(self, *, path: str, trained: Sequence[str], timed: Sequence[str]) -> None:
        self._table: Table = read_table(path)
        self._metrics = {"train": tuple(trained), "time": tuple(timed)}

    def run(self, evaluation: Evaluation) -> Outcome:
        """Looks a row up; failures are returned, not raised."""
        try:
            genes = evaluation.architecture["genes"]
            genotype = tuple(
                options.index(genes[name])
                for name, options in zip(self._table.columns, self._table.options, strict=True)
            )
            row = self._table.row(genotype)
            scores = {}
            for metric in self._metrics[evaluation.phase]:
                seeds = self._table.seeds(metric)
                draw = hashlib.sha256(f"{evaluation.seed}:{metric}".encode()).digest()[0]
                scores[metric] = float(self._table.metrics[seeds[draw % len(seeds)]][row])
                if not math.isfinite(scores[metric]):
                    raise InfeasibleError(f"the table has no {metric} of this architecture")
            return Outcome(evaluation.number, evaluation.phase, scores=scores)
        except Exception as error:
            return failed(evaluation, error)
