"""A search from its run folder to its end: starts or takes up a run, opens workers, minds signals. The glue between the rooms."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

from evaluators.evaluation import write_atomically
from nas.algorithms.catalogue import ALGORITHMS
from nas.archive import Archive
from nas.config import SearchConfig
from nas.environment import environment
from nas.errors import INTERRUPTED, UserError
from nas.loop import Ending, Loop
from nas.members import frame_of
from nas.options import to_toml
from nas.plan import Plan, prepare
from nas.progress import Progress
from nas.run import FORMAT, RunFolder, repair_tail
from nas.workers.catalogue import BACKENDS

STOP_SECONDS = 5.0


@dataclass
class Session:
    """One driver at work on one run."""

    config: SearchConfig
    plan: Plan
    folder: RunFolder
    resumed: bool
    archive: Archive = field(init=False)

    @property
    def rejected(self) -> int:
        """Architectures that broke a limit and were not trained, in this session."""
        return len(self.plan.problem.rejected)

    def run(self) -> Ending:
        """Searches until the budget is spent or someone stops it.

        Raises:
            UserError: another driver has the run.
        """
        with self.folder.locked():
            self.archive = self._open()
            self.folder.log("resumed" if self.resumed else "started", budget=self.config.budget)
            ending = self._search()
            self.folder.log("ended", ending=ending, finished=len(self.archive.having("finished")))
        return ending

    def _open(self) -> Archive:
        problem = self.plan.problem
        if not self.resumed:
            return Archive.create(
                self.folder,
                space=problem.space,
                objectives=problem.objectives,
                limits=problem.limits,
                recipe=self.plan.recipe.to_json(),
                frame=frame_of(problem, chance=1 / self.plan.data["classes"]),
            )
        cut = repair_tail(self.folder.journal)
        if cut:
            self.folder.log("repaired", cut_bytes=cut)
        archive = Archive.open(self.folder.path, space=problem.space)
        if archive.recipe != self.plan.recipe.to_json():
            raise UserError(
                f"the run {str(self.folder.path)!r} trained by another recipe than this version has: go on with the version that made it"
            )
        write_atomically(self.folder.config, to_toml(self.config).encode())
        return archive

    def _search(self) -> Ending:
        config, plan = self.config, self.plan
        algorithm = ALGORITHMS[config.algorithm](plan.problem, seed=config.seed)
        workers = BACKENDS[config.backend](plan.spec, workers=plan.workers, gpus=plan.gpus)
        try:
            with Progress(self.archive, config.budget, plan.workers) as progress:
                loop = Loop(
                    problem=plan.problem,
                    algorithm=algorithm,
                    workers=workers,
                    archive=self.archive,
                    folder=self.folder,
                    recipe=plan.recipe.to_json(),
                    seed=config.seed,
                    budget=config.budget,
                    timeout=config.trial_timeout,
                    on_change=progress.update,
                )
                with _signals(loop):
                    return loop.run()
        finally:
            workers.close()


def begin(config: SearchConfig, folder: RunFolder) -> Session:
    """A new run: nothing is written before the plan stands.

    Raises:
        UserError: with every fault of the options.
    """
    plan = prepare(config)
    folder.weights.mkdir(parents=True)
    write_atomically(folder.config, to_toml(config).encode())
    write_atomically(folder.environment, json.dumps(_about(plan), indent=2).encode())
    return Session(config, plan, folder, resumed=False)


def proceed(config: SearchConfig, folder: RunFolder) -> Session:
    """An existing run, with its data checked against what it was begun with.

    Raises:
        UserError: the data are not those of the run.
    """
    plan = prepare(config)
    before = folder.read_environment().get("data", {}).get("checksum")
    if before != plan.data.get("checksum"):
        raise UserError(
            f"the data set {config.dataset!r} has checksum {plan.data.get('checksum')} now and had {before} when the run began: "
            "give it the same images, or start a new run"
        )
    return Session(config, plan, folder, resumed=True)


def _about(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **environment(),
        "device": plan.device,
        "workers": plan.workers,
        "data": dict(plan.data),
        "space": {"name": plan.problem.space.name, "architectures": plan.problem.space.size},
        "recipe": asdict(plan.recipe),
    }


@contextmanager
def _signals(loop: Loop) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) lets the search end within five seconds, the second ends it at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if loop.stopping:
            os._exit(INTERRUPTED)
        print(f"\nstopping: what is under way has {STOP_SECONDS:.0f} s to end; again to stop at once", flush=True)
        loop.stop(seconds=STOP_SECONDS)

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever runs us there minds the signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
