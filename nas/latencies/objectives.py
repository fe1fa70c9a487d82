"""Latency tables as objectives: `latency_ms` of one table, `latency_ms@NAME` of several, counted like MACs; it times nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluators.latency_table import LatencyTable, read_latency_table
from evaluators.objective import OBJECTIVES, Objective
from nas.errors import UserError
from search_spaces.architecture import Architecture

Count = Callable[[Any], Mapping[str, float]]


def read_tables(paths: Sequence[str], *, space: str) -> dict[str, LatencyTable]:
    """The tables by the objective that each stands for.

    Raises:
        UserError: a file is no latency table, is of another space, or two tables have one name.
    """
    faults, tables = [], []
    for path in paths:
        try:
            table = read_latency_table(path)
        except ValueError as error:
            faults.append(f"--latency-table: {error}")
            continue
        if table.about["space"] != space:
            faults.append(
                f"--latency-table {path} was built for space {table.about['space']!r} and {space!r} is searched: build one for it"
            )
        tables.append(table)
    names = [re.sub(r"[^\w-]+", "-", table.name).strip("-") for table in tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults.append(f"--latency-table names two tables {twice[0]!r}: build them anew, each with its own --name")
    if faults:
        raise UserError(*faults)
    if len(tables) == 1:
        return {"latency_ms": tables[0]}
    return {f"latency_ms@{name}": table for name, table in zip(names, tables, strict=True)}


def check_input(tables: Mapping[str, LatencyTable], data: Any) -> None:
    """Compares what the tables were built for with the data set.

    Raises:
        UserError: channels, resolution or classes differ.
    """
    for name, table in tables.items():
        now = {part: getattr(data, part) for part in ("channels", "resolution", "classes")}
        if dict(table.about["input"]) != now:
            raise UserError(
                f"the latency table of {name} was built for {dict(table.about['input'])} and the data have {now}: build one for them"
            )


def known_objectives(tables: Mapping[str, LatencyTable]) -> dict[str, Objective]:
    """All objectives, those of the tables as counted ones."""
    return {**OBJECTIVES, **{name: Objective(name, "min", "ms", "counted") for name in tables}}


def counting(count: Count, tables: Mapping[str, LatencyTable]) -> Count:
    """Counts and the tables' latencies of an architecture."""

    def counted(architecture: Architecture) -> Mapping[str, float]:
        return {**count(architecture), **{name: table.latency_ms(architecture) for name, table in tables.items()}}

    return counted if tables else count


def facts_of(tables: Mapping[str, LatencyTable], paths: Sequence[str]) -> list[dict[str, Any]]:
    """What a run keeps of its tables: objective, device, how it was timed, how far it was off, and the file's checksum."""
    return [
        {
            "objective": name,
            **{
                part: table.about.get(part)
                for part in ("device", "device_name", "runtime", "threads", "batch_size", "date")
            },
            "median_error": table.check.get("median_error"),
            "checksum": hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16],
        }
        for (name, table), path in zip(tables.items(), paths, strict=True)
    ]
