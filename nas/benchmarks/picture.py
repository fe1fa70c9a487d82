"""The plot of a benchmark: share of the exact hypervolume that is still missing over evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.benchmarks.summary import Summary


def draw(summaries: Sequence[Summary], path: Path, *, title: str) -> None:
    """Writes a PNG: median over seeds as a line, quartiles as a band, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=120)
    for i, summary in enumerate(summaries):
        missing = np.maximum(1 - summary.traces, 1e-4)
        low, middle, high = np.quantile(missing, [0.25, 0.5, 0.75], axis=0)
        evaluations = np.arange(1, missing.shape[1] + 1)
        line = axes.plot(evaluations, middle, label=summary.algorithm, linewidth=2, zorder=len(summaries) - i + 2)[0]
        axes.fill_between(evaluations, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    for share in (0.95, 0.98, 0.99):
        axes.axhline(1 - share, color="0.6", linewidth=0.8, linestyle=":")
        axes.text(1.02, 1 - share, f"{share:.0%}", transform=axes.get_yaxis_transform(), va="center", color="0.4")
    axes.set(xscale="log", yscale="log", xlabel="evaluations", ylabel="missing share of exact hypervolume", title=title)
    axes.set_ylim(top=1)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
