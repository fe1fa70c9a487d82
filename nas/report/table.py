"""A front as text: a table for people, rows for programs; it knows no store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluators.objective import Objective
from nas.members import Member

if TYPE_CHECKING:
    from rich.table import Table

    from nas.report.beside import Beside
    from nas.training.results import Result


def number(value: float, unit: str) -> str:
    """A score as people read it: fractions in percent, counts with a suffix, times to three digits."""
    if unit == "fraction":
        return f"{100 * value:.2f} %"
    if unit in {"parameters", "multiply-adds"}:
        for suffix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if abs(value) >= size:
                return f"{value / size:.3g} {suffix}"
        return f"{value:.0f}"
    return f"{value:.4g} {unit}".strip()


def describe(architecture: Mapping[str, Any]) -> str:
    """An architecture in one line; a row of a table space by its genes. A run folder may come from anybody, so it may be none."""
    from nas.report.facts import drawable
    from search_spaces.architecture import Architecture

    drawn = drawable(architecture)
    if drawn is None:
        return "no architecture"
    return "-".join(map(str, drawn["genes"].values())) if "genes" in drawn else str(Architecture.from_json(drawn))


def front_table(
    front: Sequence[Member], objectives: Sequence[Objective], *, knee: str | None, beside: Beside | None = None
) -> Table:
    """The front as a rich table; the member whose key is `knee` is marked; with confidence and measured latencies beside."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    for objective in objectives:
        arrow = "↑" if objective.goal == "max" else "↓"
        table.add_column(f"{objective.name} {arrow}", justify="right", no_wrap=True)
    sure = beside.confidence if beside is not None else {}
    again = {
        member.trial.key: beside.measured.get(member.trial.key, {}) if beside is not None else {} for member in front
    }
    timed = [o.name for o in objectives if any(o.name in row for row in again.values())]
    for name in timed:
        table.add_column(f"{name} measured", justify="right", no_wrap=True)
    if sure:
        table.add_column("sure", justify="right", no_wrap=True)
    table.add_column("key", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for member in front:
        mark = "◆" if member.trial.key == knee else ""
        table.add_row(
            f"{mark}{member.trial.number}",
            *(number(member.scores[o.name], o.unit) for o in objectives),
            *(number(row["median_ms"], "ms") if (row := again[member.trial.key].get(name)) else "" for name in timed),
            *([f"{100 * sure[member.trial.key]:.0f} %"] if sure else []),
            member.trial.key[:8],
            describe(member.trial.architecture),
        )
    return table


def trained_table(results: Sequence[Result]) -> Table:
    """What full training came to, as a table of its own: another recipe and another part than the front's scores."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title="trained in full", title_justify="left")
    table.add_column("key", no_wrap=True)
    table.add_column("recipe", no_wrap=True)
    table.add_column("test accuracy ↑", justify="right", no_wrap=True)
    for result in results:
        table.add_row(result.key[:8], result.label, str(result))
    return table


def rows(front: Sequence[Member], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """One flat row a member, as for a CSV file: number, key, objectives, further scores, architecture as JSON."""
    names = [objective.name for objective in objectives]
    return [
        {
            "number": member.trial.number,
            "key": member.trial.key,
            **{name: member.scores[name] for name in names},
            **{name: score for name, score in member.scores.items() if name not in names},
            "architecture": json.dumps(member.trial.architecture, sort_keys=True),
        }
        for member in front
    ]
