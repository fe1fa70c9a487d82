"""Hypervolume by epochs trained, of searches with and without early stopping; it knows only the results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = {"all to the end": "#7a7a7a", "stopped at rungs": "#0b6e99"}


def plot(results: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """One panel a setting, one line a search; a dot ends each search."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(results), figsize=(5.5 * len(results), 4), squeeze=False, layout="constrained")
    for panel, (setting, seeds) in zip(panels[0], results.items(), strict=True):
        for seed in seeds:
            for name, rows in seed["curves"].items():
                epochs, volumes = zip(*rows, strict=True)
                panel.step(epochs, volumes, where="post", color=COLOURS[name], lw=1.3, alpha=0.8)
                panel.plot(epochs[-1], volumes[-1], "o", color=COLOURS[name], ms=5)
        best = max(row[1] for seed in seeds for rows in seed["curves"].values() for row in rows)
        panel.set(title=setting, xlabel="epochs trained, all trials together", ylim=(0.9 * best, 1.01 * best))
        panel.grid(alpha=0.25)
    panels[0][0].set_ylabel("hypervolume of the front")
    for name, colour in COLOURS.items():
        panels[0][0].plot([], [], color=colour, label=name)
    panels[0][0].legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
