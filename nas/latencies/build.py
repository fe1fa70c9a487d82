"""Building a device's latency table: which blocks to time, how they add up, and how far the sum can be believed; it knows no argv."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from evaluators.latency import Latency, measure_in_turns, prepared
from evaluators.latency_table import BlockModel, LatencyTable, calibrate, features, text_of
from nas.audits.fidelity import kendall
from nas.config import SearchConfig
from nas.environment import processor, version
from nas.errors import UserError
from nas.plan import prepare
from search_spaces.architecture import Architecture
from search_spaces.network import build, cost_parts

if TYPE_CHECKING:
    from nas.latency import LatencyConfig

BURST_SECONDS = 0.004
SAMPLED = 1000  # networks whose blocks are counted
# Compiling or exporting a block takes seconds, so fewer of them are timed.
DEFAULT_BLOCKS = {"torch": 300, "torch.compile": 40, "onnxruntime": 80}
Report = Callable[[str], None]


def build_table(config: LatencyConfig, *, name: str, report: Report) -> LatencyTable:
    """Times blocks and whole networks in turns, fits the table to half of the networks and checks it on the others.

    Raises:
        UserError: the options or the device do not allow it.
    """
    plan = prepare(
        SearchConfig(space=config.space, dataset=config.dataset, data_dir=config.data_dir, device=config.device)
    )
    space, generator = plan.problem.space, np.random.default_rng([config.seed, 0x1A7])
    if config.device == "cpu":
        torch.set_num_threads(config.threads)
    fitted, held, sampled = (
        [space.decode(space.sample(generator)) for _ in range(n)] for n in (config.networks, config.networks, SAMPLED)
    )
    parts = _blocks(sampled, config.blocks or DEFAULT_BLOCKS[config.runtime], generator)
    report(f"{len(parts)} blocks and {2 * config.networks} networks are timed with {config.runtime} on {config.device}")
    try:
        device = torch.device(config.device)
        runs = [
            prepared(make(), (config.batch_size, *shape[1:]), device=device, runtime=config.runtime)
            for _, make, shape in parts.values()
        ]
        for architecture in (*fitted, *held):
            image = (config.batch_size, architecture.channels, architecture.resolution, architecture.resolution)
            runs.append(prepared(build(architecture), image, device=device, runtime=config.runtime))
    except ValueError as error:
        raise UserError(str(error)) from None
    times = measure_in_turns(runs, turns=config.turns, burst_seconds=BURST_SECONDS)
    blocks, whole = times[: len(parts)], times[len(parts) :]
    entries = {key: latency.median_ms for key, latency in zip(parts, blocks, strict=True)}
    model = BlockModel.fit([features(*part) for part in parts.values()], np.array(list(entries.values())))
    about = {
        "space": config.space,
        "input": {name: plan.data[name] for name in ("channels", "resolution", "classes")},
        "device": config.device,
        "device_name": device_name(config.device),
        "runtime": config.runtime,
        "threads": config.threads if config.device == "cpu" else None,
        "batch_size": config.batch_size,
        "versions": {package: version(package) for package in ("torch", "onnxruntime")},
        "date": date.today().isoformat(),
        "turns": config.turns,
    }
    raw = LatencyTable(name=name, about=about, entries=entries, model=model)
    sums = np.array([sum(raw.blocks_ms(architecture)) for architecture in fitted])
    slope, offset = calibrate(sums, np.array([latency.median_ms for latency in whole[: len(fitted)]]))
    table = LatencyTable(name=name, about=about, entries=entries, model=model, slope=slope, offset_ms=offset)
    check = checked(table, held, whole[len(fitted) :])
    check["disturbed"] = float(np.mean([latency.disturbed for latency in times]))
    return LatencyTable(**{**{k: v for k, v in vars(table).items() if not k.startswith("_")}, "check": check})


def checked(table: LatencyTable, networks: Sequence[Architecture], measured: Sequence[Latency]) -> dict[str, Any]:
    """How far the table is from measurements of networks that it has not seen."""
    truth = np.array([latency.median_ms for latency in measured])
    told = np.array([table.latency_ms(network) for network in networks])
    errors = np.abs(told / truth - 1)
    return {
        "networks": len(networks),
        "median_error": float(np.median(errors)),
        "error_90": float(np.quantile(errors, 0.9)),
        "tau": kendall(told, truth),
        "tau_ceiling": kendall([m.even_ms for m in measured], [m.odd_ms for m in measured]),
        "repeat_error": float(np.median([latency.repeat_error for latency in measured])),
        "least_ms": float(truth.min()),
        "most_ms": float(truth.max()),
        "keys": [network.key for network in networks],
        "measured_ms": truth.tolist(),
        "told_ms": told.tolist(),
    }


def device_name(device: str) -> str:
    """The processor or GPU that is timed."""
    return torch.cuda.get_device_name(0) if device == "cuda" else processor()


def _blocks(
    architectures: Sequence[Architecture], wanted: int, generator: np.random.Generator
) -> dict[str, tuple[Hashable, Callable[[], torch.nn.Module], tuple[int, int, int, int]]]:
    """Distinct blocks of these architectures by their canonical text: all, or the half that occurs most often and others at random."""
    found, often = {}, Counter[str]()
    for architecture in architectures:
        for part in cost_parts(architecture):
            found[text_of(part[0])] = part
            often[text_of(part[0])] += 1
    keys = sorted(found, key=lambda key: (-often[key], key))
    rare = [
        keys[i]
        for i in sorted(generator.permutation(np.arange(wanted // 2, len(keys))).tolist()[: wanted - wanted // 2])
    ]
    return {key: found[key] for key in (*keys[: wanted // 2], *rare)}
