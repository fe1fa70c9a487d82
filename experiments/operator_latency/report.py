"""Tables, plot and README of the measured latencies."""

from __future__ import annotations

import csv
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

import torch

from experiments.operator_latency.networks import PairTiming
from experiments.operator_latency.operators import Timing
from search_spaces.kernels.library import LIBRARY, use_instructions

T = TypeVar("T", Timing, PairTiming)
MARK = "<!-- measured below; written by the command -->"


def write(operators: Sequence[Timing], networks: Sequence[PairTiming], folder: Path, *, batch: int) -> None:
    """Writes `operators.csv`, `networks.csv`, `latency.png` and the measured part of `README.md`, below its mark.

    No operators, and batch sizes of networks that are missing, are taken from what lies in the folder.
    """
    again = {timing.batch for timing in networks}
    operators = operators or _earlier(Timing, folder / "operators.csv")
    kept = [timing for timing in _earlier(PairTiming, folder / "networks.csv") if timing.batch not in again]
    networks = sorted([*kept, *networks], key=lambda timing: timing.batch)
    _table(operators, Timing, folder / "operators.csv")
    _table(networks, PairTiming, folder / "networks.csv")
    _plot(operators, folder / "latency.png")
    page = folder / "README.md"
    words = page.read_text(encoding="utf-8").partition(MARK)[0] if page.exists() else "# Operator latency\n\n"
    kernels = "no native kernels" if LIBRARY is None else f"kernels of {use_instructions()}"
    machine = f"{_processor()}, {torch.get_num_threads()} thread(s)"
    lines = [f"Measured on {machine}, {kernels}, PyTorch {torch.__version__}.", ""]
    lines += [*_operator_lines(operators, batch), *_network_lines(networks)]
    page.write_text(words + MARK + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def _operator_lines(operators: Sequence[Timing], batch: int) -> list[str]:
    lines = [f"## Operators at batch {batch}: time over a copy of the bytes", "", "![Time over a copy](latency.png)"]
    for operator in dict.fromkeys(t.operator for t in operators):
        for direction in dict.fromkeys(t.direction for t in operators if t.operator == operator):
            some = [t for t in operators if (t.operator, t.direction) == (operator, direction)]
            ways = [way for way in dict.fromkeys(t.way for t in some) if way != "copy"]
            lines += ["", f"### {operator}, {direction}", ""]
            lines.append(f"| shape | layout | copy, ms | {' | '.join(ways)} | fast, GB/s |")
            lines.append("| --- | --- |" + " ---: |" * (len(ways) + 2))
            for place in dict.fromkeys((t.network, t.shape, t.layout) for t in some):
                here = {t.way: t for t in some if (t.network, t.shape, t.layout) == place}
                ratios = " | ".join(f"{here[way].ms / here[way].limit_ms:.2f}" for way in ways)
                lines.append(
                    f"| {place[0]} {place[1]} | {place[2]} | {here['copy'].ms:.3f} | {ratios} "
                    f"| {here['fast'].gigabytes_a_second:.1f} |"
                )
    return [*lines, ""]


def _network_lines(networks: Sequence[PairTiming]) -> list[str]:
    if not networks:
        return []
    lines = ["## Whole networks at 224 pixels", ""]
    lines += [
        "| network | over | batch | mode | ms | of the other | ratio |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for place in dict.fromkeys((t.network, t.other, t.batch) for t in networks):
        here = [t for t in networks if (t.network, t.other, t.batch) == place]
        own, other = min(here, key=lambda t: t.ms), min(here, key=lambda t: t.other_ms)
        ratio = own.ratio if own is other else own.ms / other.other_ms
        for t in here:
            lines.append(
                f"| {t.network} | {t.other} | {t.batch} | {t.mode} | {t.ms:.1f} | {t.other_ms:.1f} | {t.ratio:.2f} |"
            )
        lines.append(
            f"| {place[0]} | {place[1]} | {place[2]} | **best of each** | {own.ms:.1f} | {other.other_ms:.1f} | **{ratio:.2f}** |"
        )
    return lines


def _table(rows: Sequence[Timing] | Sequence[PairTiming], kind: type, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow(
                {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(row).items()}
            )


def _earlier(kind: type[T], path: Path) -> list[T]:
    """What was measured before."""
    if not path.exists():
        return []
    read = {"int": int, "float": float, "str": str}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            kind(**{field.name: read[str(field.type)](row[field.name]) for field in fields(kind)})
            for row in csv.DictReader(file)
        ]


def _plot(operators: Sequence[Timing], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ways = [way for way in dict.fromkeys(t.way for t in operators) if way != "copy"]
    looks = {way: ("osD^vXPd*"[i % 9], f"C{i % 10}") for i, way in enumerate(ways)}
    panels = list(dict.fromkeys((t.operator, t.direction) for t in operators))
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(13, 4 * len(panels)), squeeze=False)
    for axis, panel in zip(axes[:, 0], panels, strict=True):
        some = [t for t in operators if (t.operator, t.direction) == panel]
        places = list(dict.fromkeys((t.shape, t.layout) for t in some))
        for way in (way for way in ways if any(t.way == way for t in some)):
            heights = {(t.shape, t.layout): t.ms / t.limit_ms for t in some if t.way == way}
            marker, colour = looks[way]
            axis.plot(range(len(places)), [heights[p] for p in places], marker, color=colour, label=way)
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set(yscale="log", ylabel="time over a copy", title=f"{panel[0]}, {panel[1]}")
        axis.set_xticks(
            range(len(places)), [f"{shape} {layout}" for shape, layout in places], rotation=60, ha="right", fontsize=7
        )
        axis.legend(fontsize=8, bbox_to_anchor=(1.01, 1), loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
