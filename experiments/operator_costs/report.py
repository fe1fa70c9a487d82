"""Table, plot and README of the measured costs."""

from __future__ import annotations

import csv
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch

from experiments.operator_costs.measure import Cost

INTRODUCTION = """# What does each channel-mixing operator cost?

`python -m experiments.operator_costs` measures it and writes this folder's `costs.csv`, `costs.png` and this page.

Shapes are the squeezing 1×1 convolutions of ResNet-50 and MobileNetV2 at 224 pixels; operators of the first table take the
place of such a convolution, those of the second keep its input's channels. MACs are multiply-adds of convolutions, linear
layers and matrix products. Bytes moved are what the eager operations read and write for one image in float32, weights
included: a fused kernel moves less. Latency is the median of one image on one thread, evaluation mode, eager PyTorch; it is
given relative to the 1×1 convolution of the same role and shape in the same memory layout. Ratios hold better than times: the
machine had other work.

"""


def write(costs: Sequence[Cost], folder: Path) -> None:
    """Writes `costs.csv`, `costs.png` and `README.md`."""
    with (folder / "costs.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Cost)], lineterminator="\n")
        rows.writeheader()
        for cost in costs:
            rows.writerow(
                {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(cost).items()}
            )
    (folder / "README.md").write_text(INTRODUCTION + "\n".join(_page(costs)) + "\n")
    _plot(costs, folder / "costs.png")


def _page(costs: Sequence[Cost]) -> list[str]:
    lines = [f"Measured on {_processor()}, PyTorch {torch.__version__}.", ""]
    for role, title in (("squeeze", "In the place of a squeezing 1×1 convolution"), ("keep", "Keeping the channels")):
        lines += [f"## {title}", ""]
        lines.append(
            "| shape | operator | params | MACs | MB moved | latency, ms | × 1×1 | channels-last, ms | × 1×1 |"
        )
        lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        lines += [_line(cost, costs) for cost in costs if cost.role == role]
        lines.append("")
    return [*lines, "![MACs and latency of every operator relative to the 1×1 convolution](costs.png)"]


def _line(cost: Cost, costs: Sequence[Cost]) -> str:
    base = _base(cost, costs)
    return (
        f"| {cost.network} {cost.c_in}→{cost.c_out} at {cost.side}² | {cost.operator} | {cost.params:,} | {cost.macs:,} "
        f"| {cost.megabytes_moved:.2f} | {cost.latency_ms:.3f} | {cost.latency_ms / base.latency_ms:.2f} "
        f"| {cost.latency_channels_last_ms:.3f} | {cost.latency_channels_last_ms / base.latency_channels_last_ms:.2f} |"
    )


def _base(cost: Cost, costs: Sequence[Cost]) -> Cost:
    """The 1×1 convolution of the same role and shape."""
    place = (cost.network, cost.role, cost.c_in, cost.side)
    return next(c for c in costs if (c.network, c.role, c.c_in, c.side) == place and c.operator == "1×1 convolution")


def _plot(costs: Sequence[Cost], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True)
    for axis, role in zip(axes, ("squeeze", "keep"), strict=True):
        names = [
            name for name in dict.fromkeys(c.operator for c in costs if c.role == role) if name != "1×1 convolution"
        ]
        for i, name in enumerate(names):
            some = [(cost, _base(cost, costs)) for cost in costs if cost.role == role and cost.operator == name]
            axis.scatter(
                [max(cost.macs, 1) / base.macs for cost, base in some],
                [cost.latency_ms / base.latency_ms for cost, base in some],
                marker="osD^v<>Pp*hX"[i % 12],
                label=name,
            )
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set(xscale="log", yscale="log", xlabel="MACs relative to the 1×1 convolution")
        axis.set_title("in its place" if role == "squeeze" else "keeping the channels")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("latency relative to the 1×1 convolution")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
