"""From options to the parts of a search: data facts, space, problem, recipe, evaluator, workers; it starts nothing and writes nothing."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.evaluation import EvaluatorSpec
from evaluators.latency_table import LatencyTable
from evaluators.objective import Objective
from evaluators.training.recipe import RECIPES, Recipe
from nas.config import SearchConfig, parse_limit
from nas.errors import UserError
from nas.latencies.objectives import check_input, counting, facts_of, known_objectives, read_tables
from nas.problem import Limit, Problem
from search_spaces.catalogue import SPACES
from search_spaces.space import Genotype, Space


@dataclass(frozen=True)
class Plan:
    """All that a search needs besides a run folder. `data` holds name, channels, resolution, classes, sizes and checksum."""

    problem: Problem
    recipe: Recipe
    spec: EvaluatorSpec
    data: Mapping[str, Any]
    device: str
    workers: int
    gpus: int
    tables: Mapping[str, LatencyTable] = field(default_factory=dict)


@dataclass
class Counts:
    """Counted objectives of a genotype, remembered."""

    space: Space[Any]
    count: Callable[[Any], Mapping[str, float]]
    known: dict[Genotype, Mapping[str, float]] = field(default_factory=dict)

    def __call__(self, genotype: Genotype) -> Mapping[str, float]:
        """The counts of a canonical genotype."""
        if genotype not in self.known:
            self.known[genotype] = self.count(self.space.decode(genotype))
        return self.known[genotype]


def prepare(config: SearchConfig) -> Plan:
    """Checks the options against each other and against the data.

    Raises:
        UserError: with every fault that could be found at once.
    """
    if config.reevaluate and config.algorithm != "surrogate":
        raise UserError(f"--reevaluate is the surrogate's, got --algorithm {config.algorithm}: leave one of them out")
    if config.zero_cost and (config.algorithm != "surrogate" or config.space.startswith("table:")):
        raise UserError("--zero-cost is for the surrogate, on a space whose networks can be built: leave it out")
    if config.space.startswith("table:"):
        return _prepare_table(config)
    faults: list[str] = []
    tables: dict[str, LatencyTable] = (
        _collect(faults, lambda: read_tables(config.latency_table, space=config.space)) or {}
    )
    known = known_objectives(tables)
    objectives = _collect(faults, lambda: parse_objectives(config.objectives, known))
    limits = _collect(faults, lambda: parse_limits(config.limit, known))
    device, gpus = _collect(faults, lambda: find_device(config.device)) or ("cpu", 0)
    data = _collect(faults, lambda: _load(config))
    faults.extend(_faults_of_cluster(config, objectives or ()))
    if faults or objectives is None or limits is None or data is None:
        raise UserError(*faults)
    from evaluators.counts import count

    check_input(tables, data)
    try:
        space = SPACES[config.space](channels=data.channels, resolution=data.resolution, classes=data.classes)
    except ValueError as error:
        raise UserError(str(error)) from None
    per_device = _trials_per_device(config, space, data, gpus=gpus) if device == "cuda" else 1
    workers = config.workers or (0 if config.address else gpus * per_device or cores())
    if config.address and config.device == "auto":
        device = "auto"  # as the cluster has, not this machine
    options = {
        "dataset": config.dataset,
        "data_dir": config.data_dir or None,
        "skip_broken": config.skip_broken,
        "train_images": config.train_images,
        "checksum": data.checksum,
        "device": device,
        **({"share": gpus / workers} if device == "cuda" and workers > gpus else {}),
    }
    facts = {
        "name": data.name,
        "channels": data.channels,
        "resolution": data.resolution,
        "classes": data.classes,
        "class_names": list(data.class_names),
        "train": len(data.train),
        "validation": len(data.validation),
        "test": len(data.test),
        "checksum": data.checksum,
        "mean": [round(float(m), 4) for m in data.mean.flatten()],
        "std": [round(float(s), 4) for s in data.std.flatten()],
        **({"latency_tables": facts_of(tables, config.latency_table)} if tables else {}),
    }
    return Plan(
        problem=Problem(space, objectives, limits, Counts(space, counting(count, tables))),
        tables=tables,
        recipe=recipe_of(config),
        spec=EvaluatorSpec("evaluators.evaluation:TrainingEvaluator", options),
        data=facts,
        device=device,
        workers=1 if config.backend == "in_process" else workers,
        gpus=min(gpus, workers) if device == "cuda" else 0,
    )


def _prepare_table(config: SearchConfig) -> Plan:
    """A search over a table of trained networks: nothing is trained, scores are looked up."""
    from nas.benchmarks.tabular import Benchmark, objectives_of
    from search_spaces.table import read_table

    path = str(Path(config.space.removeprefix("table:")).absolute())
    try:
        table = read_table(path)
        objectives = objectives_of(",".join(config.objectives), table=table)
        # A fraction above 1 is a percentage, whatever the metric is called.
        objectives = tuple(
            replace(o, unit="%") if o.unit == "fraction" and np.nanmax(table.metrics[o.name]) > 1 else o
            for o in objectives
        )
        problem = Benchmark(table, objectives).problem
    except ValueError as error:
        raise UserError(str(error)) from None
    if len(objectives) < 2:
        raise UserError(f"--objectives takes two or more metrics of the table, got {','.join(config.objectives)}")
    limits = parse_limits(config.limit, {objective.name: objective for objective in objectives})
    if faults := _faults_of_cluster(config, ()):
        raise UserError(*faults)
    named = {kind: [o.name for o in objectives if o.kind == kind] for kind in ("trained", "timed")}
    return Plan(
        problem=replace(problem, limits=limits),
        recipe=Recipe(name="table"),
        spec=EvaluatorSpec("evaluators.lookup:TableEvaluator", {"path": path, **named}),
        data={"name": table.name, "classes": 10, "checksum": hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]},
        device="cpu",
        workers=1 if config.backend == "in_process" else config.workers or (0 if config.address else cores()),
        gpus=0,
    )


def _faults_of_cluster(config: SearchConfig, objectives: tuple[Objective, ...]) -> list[str]:
    """What the options for a cluster ask that cannot be."""
    faults = []
    if config.address and config.backend != "ray":
        faults.append(f"--address joins a Ray cluster, got --backend {config.backend}: leave one of them out")
    if config.address and any(objective.kind == "timed" for objective in objectives):
        faults.append(
            "--objectives latency_ms is timed on one device, and the nodes of a cluster differ: leave one of the two out"
        )
    if config.storage and "://" not in config.storage:
        faults.append(
            f"--storage takes a URL as postgresql+psycopg://USER@HOST/NAME, got {config.storage!r}: write one, or leave it out"
        )
    if config.weights and "://" not in config.weights:
        faults.append(
            f"--weights takes a URL as s3://BUCKET/FOLDER or file:///FOLDER, got {config.weights!r}: write one"
        )
    return faults


def parse_objectives(names: tuple[str, ...], known: Mapping[str, Objective]) -> tuple[Objective, ...]:
    """The objectives named, in that order.

    Raises:
        UserError: fewer than two, an unknown one, or one twice.
    """
    for name in names:
        if name not in known:
            raise UserError(f"the objective {name!r} is unknown: {_near(name, known)}")
    if len(set(names)) != len(names):
        raise UserError(f"--objectives names one of them twice: {','.join(names)}; name each once")
    if len(names) < 2:
        raise UserError(f"--objectives takes two or more of {', '.join(known)}, got {','.join(names) or 'none'}")
    return tuple(known[name] for name in names)


def parse_limits(texts: tuple[str, ...], known: Mapping[str, Objective]) -> tuple[Limit, ...]:
    """The limits written as `NAME<=NUMBER`.

    Raises:
        UserError: no limit, or one on an objective that is not counted.
    """
    limits = []
    counted = [objective.name for objective in known.values() if objective.kind == "counted"]
    for text in texts:
        try:
            limit = parse_limit(text)
        except ValueError as error:
            raise UserError(str(error)) from None
        if limit.name not in counted:
            raise UserError(
                f"--limit bounds a counted objective ({', '.join(counted)}), got {limit.name!r}: use one of those"
            )
        limits.append(limit)
    return tuple(limits)


def recipe_of(config: SearchConfig) -> Recipe:
    """The recipe named, with its epochs and rungs replaced where they are given."""
    recipe = RECIPES[config.recipe]
    *rungs, epochs = config.epochs or (0,)
    return replace(recipe, epochs=epochs, rungs=tuple(rungs)) if epochs else recipe


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _trials_per_device(config: SearchConfig, space: Space[Any], data: Any, *, gpus: int) -> int:
    """As many as asked for, or as fit: by the memory that the dearest of some networks takes in training."""
    if config.trials_per_device != "auto":
        return int(config.trials_per_device)
    import torch

    from evaluators.counts import count
    from evaluators.sharing import peak_memory_mb, trials_that_fit

    generator = np.random.default_rng(0)
    sample = [space.decode(space.sample(generator)) for _ in range(64)]
    dearest = sorted(sample, key=lambda architecture: count(architecture)["macs"])[-2:]
    peak = peak_memory_mb(dearest, recipe_of(config).to_json(), data, device="cuda")
    total = torch.cuda.get_device_properties(0).total_memory / 2**20
    return trials_that_fit(total_mb=total, peak_mb=peak, cores=cores(), gpus=gpus)


def find_device(name: str) -> tuple[str, int]:
    """`cuda` or `cpu`, and how many GPUs there are; `auto` takes GPUs where there are any.

    Raises:
        UserError: GPUs are asked for and there are none.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and not gpus:
        raise UserError("--device cuda needs a GPU that PyTorch can use, and finds none: use --device cpu")
    return ("cuda", gpus) if gpus and name != "cpu" else ("cpu", 0)


def _load(config: SearchConfig) -> Any:
    from evaluators.training.datasets import load

    try:
        return load(
            config.dataset,
            data_dir=config.data_dir or None,
            download=config.download,
            skip_broken=config.skip_broken,
            train_images=config.train_images,
        )
    except ValueError as error:
        raise UserError(str(error)) from None


def _collect(faults: list[str], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UserError as error:
        faults.extend(map(str, error.args))
        return None


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "choose among " + ", ".join(known)
