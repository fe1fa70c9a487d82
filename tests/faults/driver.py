"""A real search over a toy space with stub evaluations, in a process of its own, so that it can be killed.

python -m tests.faults.driver RUN OPTIONS.json; with a run at RUN it goes on with it. Prints `ready` when its imports are done.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna  # noqa: F401  (so that what is killed is the search, not the import)

from evaluators.evaluation import EvaluatorSpec
from evaluators.objective import OBJECTIVES
from nas.config import SearchConfig
from nas.errors import run_command
from nas.plan import Plan, recipe_of
from nas.problem import Problem
from nas.run import Place, RunFolder
from nas.session import Session, new_place
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.space import Choice, Space


def toy_space(options: int = 12) -> Space[Architecture]:
    """Three widths, so `options` cubed architectures."""

    def decode(values: Any) -> Architecture:
        stages = [Stage.of("conv1x1", depth=1, width=values[f"stage{i}.width"], stride=1) for i in (1, 2, 3)]
        return Architecture(1, 8, 10, Stem(4), tuple(stages))

    return Space("toy", tuple(Choice(f"stage{i}.width", tuple(range(4, 4 + options))) for i in (1, 2, 3)), decode)


def toy_problem(*names: str) -> Problem:
    """Accuracy and a product of widths, unless other objectives are named."""
    objectives = tuple(OBJECTIVES[name] for name in names or ("accuracy", "macs"))

    def count(genotype: tuple[int, ...]) -> dict[str, float]:
        return {"macs": float(np.prod(np.array(genotype) + 1)), "params": float(sum(genotype))}

    return Problem(toy_space(), objectives, (), count)


def session(run: Path, options: dict[str, Any]) -> Session:
    """The session that goes on with a run, or begins it."""
    config = SearchConfig(**options["config"])
    plan = Plan(
        problem=toy_problem(*config.objectives),
        recipe=replace(recipe_of(config), name="stub"),
        spec=EvaluatorSpec("tests.stubs:Instant", options["stub"]),
        data={"name": "toy", "classes": 10, "checksum": "0"},
        device="cpu",
        workers=options.get("workers", 1),
        gpus=0,
    )
    folder = RunFolder(run)
    if folder.environment.exists():
        folder = RunFolder.open(run)
        place = Place(config.storage, folder.place().study) if config.storage else folder.place()
        return Session(config, plan, folder, place, resumed=True)
    folder = RunFolder.check_new(run)
    return Session(config, plan, folder, new_place(config, folder), resumed=False)


def main(arguments: list[str]) -> int:
    """Runs the search as `nas.search` would."""

    def command(_: list[str]) -> int:
        work = session(Path(arguments[0]), json.loads(Path(arguments[1]).read_text()))
        print("ready", flush=True)
        ending = work.run()
        print(ending, flush=True)
        return 130 if ending == "interrupted" else 0

    return run_command("driver", command, [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
