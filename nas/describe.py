"""What `nas.search --describe` prints: every choice, the size of the space, and the range of its counts."""

from __future__ import annotations

import numpy as np

from nas.problem import Problem
from nas.report.table import number

SAMPLES = 1000


def describe(problem: Problem) -> None:
    """Prints choices, the exact number of architectures, and quantiles of each counted objective over 1,000 samples."""
    from rich.table import Table

    from nas.console import open_console

    console, space = open_console(), problem.space
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("choice", "options", "only where"):
        table.add_column(column, overflow="fold")
    for choice in space.choices:
        when = "" if choice.when is None else f"{choice.when[0]} is {' or '.join(map(str, choice.when[1]))}"
        table.add_row(choice.name, "  ".join(map(str, choice.options)), when)
    console.print(table)
    console.print(f"\n{space.size:,} architectures ({space.size:.2e})")
    generator = np.random.default_rng(0)
    counts = [problem.count(space.sample(generator)) for _ in range(SAMPLES)]
    units = {"params": "parameters", "macs": "multiply-adds"}
    for name in counts[0]:
        values = np.quantile([c[name] for c in counts], [0, 0.25, 0.5, 0.75, 1])
        shown = "  ".join(number(float(value), units.get(name, "")) for value in values)
        console.print(f"{name}: {shown}   (least, quartiles and most of {SAMPLES:,} samples)")
