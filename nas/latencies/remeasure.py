"""A front's latencies measured whole, beside what a table told: once, at the end of a search; it knows no algorithm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluators.evaluation import write_atomically
from evaluators.latency_table import LatencyTable
from nas.members import Member

FILE = "latency.json"


def remeasure(front: Sequence[Member], tables: Mapping[str, LatencyTable], folder: Path) -> list[str]:
    """Times the front's networks on every device that is this one and writes `latency.json`; says in words what was not timed."""
    import torch

    from evaluators.latency import measure_in_turns, prepared
    from nas.latencies.build import device_name
    from search_spaces.architecture import Architecture
    from search_spaces.network import build

    found: dict[str, dict[str, Any]] = {}
    words = []
    for objective, table in tables.items():
        about = table.about
        here = about["device"] == "cpu" or torch.cuda.is_available()
        if not here or device_name(about["device"]) != about["device_name"]:
            words.append(
                f"{objective} is of {about['device_name']}, which is not this machine: its figures are the table's alone"
            )
            continue
        threads = torch.get_num_threads()
        torch.set_num_threads(about["threads"] or threads)
        runs = []
        for member in front:
            architecture = Architecture.from_json(member.trial.architecture)
            shape = (about["batch_size"], architecture.channels, architecture.resolution, architecture.resolution)
            runs.append(
                prepared(build(architecture), shape, device=torch.device(about["device"]), runtime=about["runtime"])
            )
        for member, latency in zip(front, measure_in_turns(runs, turns=8, burst_seconds=0.02), strict=True):
            found.setdefault(member.trial.key, {})[objective] = {
                "median_ms": latency.median_ms,
                "lower_ms": latency.lower_ms,
                "upper_ms": latency.upper_ms,
                "disturbed": latency.disturbed,
            }
        torch.set_num_threads(threads)
    write_atomically(folder / FILE, (json.dumps(found, indent=2) + "\n").encode())
    return words


def measured(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What `remeasure` wrote: by key of an architecture and objective; empty where nothing was measured."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {
            str(key): {name: {part: float(value) for part, value in row.items()} for name, row in rows.items()}
            for key, rows in data.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
