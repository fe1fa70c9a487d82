"""Replays of several seeds as the numbers that are compared, as a table of text and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.benchmarks.replay import Replay
from nas.benchmarks.tabular import Benchmark

SHARES = (0.95, 0.98, 0.99)
MARKS = (50, 100, 200)


@dataclass(frozen=True)
class Summary:
    """Traces (seeds, evaluations) of the share of the exact hypervolume, repeats and time of an algorithm."""

    algorithm: str
    traces: NDArray[np.float64]
    repeated: float
    ms_per_proposal: float

    def evaluations_to(self, share: float, *, quantile: float = 0.5) -> float | None:
        """Evaluations until the share is reached, a quantile over seeds; None where too few seeds reach it."""
        reached = (self.traces >= share - 1e-12).any(axis=1)
        first = np.where(reached, (self.traces >= share - 1e-12).argmax(axis=1) + 1.0, np.inf)
        low, high = np.quantile(first, quantile, method="lower"), np.quantile(first, quantile, method="higher")
        if not np.isfinite(high):
            return None
        return float(np.quantile(first[np.isfinite(first)], quantile) if reached.all() else (low + high) / 2)

    def hypervolume_at(self, evaluations: int) -> float | None:
        """Median share of the exact hypervolume after so many evaluations; None where no run was that long."""
        return float(np.median(self.traces[:, evaluations - 1])) if evaluations <= self.traces.shape[1] else None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "algorithm": self.algorithm,
            "evaluations_to": {str(share): self.evaluations_to(share) for share in SHARES},
            "hypervolume_at": {str(mark): self.hypervolume_at(mark) for mark in MARKS},
            "repeated": self.repeated,
            "ms_per_proposal": self.ms_per_proposal,
        }


def padded(traces: Sequence[NDArray[np.float64]], *, evaluations: int) -> NDArray[np.float64]:
    """Traces of equal length: one that ended early, its space used up, stays at its last value."""
    rows = [np.concatenate([trace, np.full(evaluations - len(trace), trace[-1])]) for trace in traces]
    return np.stack(rows)


def text_table(summaries: Sequence[Summary], *, evaluations: int) -> str:
    """Aligned columns: evaluations to each share as median (quartiles), share at each mark, repeats, milliseconds."""
    header = ["algorithm"]
    header += [f"to {share:.0%}" for share in SHARES] + [f"at {mark}" for mark in MARKS] + ["repeated", "ms/proposal"]
    rows = [header, *([cell for _, cell in _cells(summary, evaluations)] for summary in summaries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _cells(summary: Summary, evaluations: int) -> Sequence[tuple[str, str]]:
    cells: dict[str, str] = {"algorithm": summary.algorithm}
    for share in SHARES:
        middle, low, high = (_count(summary.evaluations_to(share, quantile=q), evaluations) for q in (0.5, 0.25, 0.75))
        cells[f"to {share}"] = middle if low == high else f"{middle} ({low}–{high})"
    for mark in MARKS:
        value = summary.hypervolume_at(mark)
        cells[f"at {mark}"] = "–" if value is None else f"{value:.4f}"
    cells["repeated"] = f"{summary.repeated:.1%}"
    cells["ms"] = f"{summary.ms_per_proposal:.1f}"
    return list(cells.items())


def _count(value: float | None, evaluations: int) -> str:
    return f">{evaluations}" if value is None else f"{value:g}"


def rows_of(summaries: Sequence[Summary]) -> list[Mapping[str, object]]:
    """Plain data of all summaries."""
    return [summary.to_json() for summary in summaries]


def summarise(benchmark: Benchmark, name: str, replays: Sequence[Replay], *, evaluations: int) -> Summary:
    """The replays of one algorithm, scored."""
    proposals = sum(len(replay.genotypes) for replay in replays)
    return Summary(
        algorithm=name,
        traces=padded([benchmark.trace(replay.genotypes) for replay in replays], evaluations=evaluations),
        repeated=float(np.mean([replay.repeated for replay in replays])),
        ms_per_proposal=1e3 * sum(replay.seconds for replay in replays) / max(proposals, 1),
    )
