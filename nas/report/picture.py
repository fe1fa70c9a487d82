"""The front as a PNG: the first two objectives, the front as a line, dominated trials faint, the knee marked. The only door to matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluators.objective import Objective
from nas.members import Member, members
from nas.pick import knee_of
from nas.report.table import number

if TYPE_CHECKING:
    from nas.archive import Archive


def picture(archive: Archive, front: Sequence[Member]) -> bytes:
    """A PNG of 1600×1000 pixels; costs on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    vertical, horizontal = archive.objectives[:2]
    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=200, layout="constrained")
    everyone = members(archive.trials)
    axes.scatter(*_columns(everyone, horizontal, vertical), s=14, color="#9aa5b1", linewidths=0, label="dominated")
    axes.plot(*_columns(front, horizontal, vertical), "o-", color="#0b6e99", markersize=5, linewidth=1.4, label="front")
    knee = knee_of(front, archive.objectives)
    axes.plot(*_columns([knee], horizontal, vertical), "D", color="#d9480f", markersize=8, label="knee")
    for axis, objective in ((axes.xaxis, horizontal), (axes.yaxis, vertical)):
        if objective.unit not in {"fraction", "%"}:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _, unit=objective.unit: number(value, unit)))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    if vertical.unit in {"fraction", "%"}:
        axes.yaxis.set_major_locator(MaxNLocator(8))
    axes.set_xlabel(f"{horizontal.name} ({'less' if horizontal.goal == 'min' else 'more'} is better)")
    axes.set_ylabel(f"{vertical.name} ({'less' if vertical.goal == 'min' else 'more'} is better)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    pyplot.close(figure)
    return content.getvalue()


def _columns(members: Sequence[Member], horizontal: Objective, vertical: Objective) -> tuple[list[float], list[float]]:
    return [m.scores[horizontal.name] for m in members], [m.scores[vertical.name] for m in members]
