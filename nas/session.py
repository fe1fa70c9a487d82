"""A search from its run folder to its end: starts or takes up a run, opens workers, minds signals. The glue between the rooms."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from types import FrameType
from typing import Any

from evaluators.evaluation import checkpoint_of, write_atomically
from evaluators.training.recipe import Recipe
from nas.algorithms.catalogue import ALGORITHMS
from nas.archive import Archive
from nas.confidence import Settler
from nas.config import SearchConfig
from nas.environment import environment
from nas.errors import INTERRUPTED, UserError
from nas.loop import Ending, Loop
from nas.members import frame_of
from nas.options import to_toml
from nas.plan import Plan, prepare
from nas.problem import Algorithm, Trial
from nas.progress import Progress
from nas.run import FORMAT, Place, RunFolder, repair_tail, weights_name
from nas.scoring import Scoring
from nas.storage import public, readable
from nas.workers.catalogue import BACKENDS

STOP_SECONDS = 2.0  # the rest of the five that a Ctrl-C may take is for closing


@dataclass
class Session:
    """One driver at work on one run."""

    config: SearchConfig
    plan: Plan
    folder: RunFolder
    place: Place
    resumed: bool
    warm: Sequence[Trial] = ()
    archive: Archive = field(init=False)
    scoring: Scoring | None = field(init=False, default=None)

    @property
    def rejected(self) -> int:
        """Architectures that broke a limit and were not trained, in this session."""
        return len(self.plan.problem.rejected)

    def run(self) -> Ending:
        """Searches until the budget is spent or someone stops it.

        Raises:
            UserError: another driver has the run.
        """
        self.folder.path.mkdir(parents=True, exist_ok=True)
        with self.folder.locked(), readable(self.place.url):
            self.archive = self._open() if self.resumed else self._create()
            self.folder.log("resumed" if self.resumed else "started", budget=self.config.budget)
            ending = self._search()
            if self.plan.tables and ending in {"budget", "exhausted"}:
                self._remeasure()
            if self.scoring is not None:
                self.folder.log("scored", **self.scoring.facts())
                print(self.scoring, flush=True)
            self.folder.log("ended", ending=ending, finished=self.archive.count("finished"))
        return ending

    def _remeasure(self) -> None:
        """The front's latencies, which a table told, measured whole where the device is this one."""
        from nas.latencies.remeasure import remeasure

        for line in remeasure(self.archive.front(), self.plan.tables, self.folder.path):
            print(line, flush=True)

    def _create(self) -> Archive:
        """The folder of a new run; `environment.json` comes last, so that a run is there whole or not at all."""
        problem = self.plan.problem
        RunFolder.check_new(self.folder.path)
        self.folder.clear()
        self.folder.weights.mkdir(exist_ok=True)
        write_atomically(self.folder.config, to_toml(_public(self.config)).encode())
        archive = Archive.create(
            self.folder,
            space=problem.space,
            objectives=problem.objectives,
            limits=problem.limits,
            recipe=self.plan.recipe.to_json(),
            frame=frame_of(problem, chance=1 / self.plan.data["classes"]),
            place=self.place,
        )
        about = _about(self.plan, self.config, self.place)
        write_atomically(self.folder.environment, json.dumps(about, indent=2).encode())
        return archive

    def _open(self) -> Archive:
        """An existing run, with what a crash left in it put in order."""
        if self.folder.events.exists():
            repair_tail(self.folder.events, record=b'{"time":')
        if not self.place.url:
            cut = repair_tail(self.folder.journal)
            if cut:
                self.folder.log("repaired", cut_bytes=cut)
        archive = Archive.open(self.folder.path, space=self.plan.problem.space, url=self.place.url)
        if Recipe.from_json(archive.recipe) != self.plan.recipe:
            raise UserError(
                f"the run {str(self.folder.path)!r} trained by another recipe than this version has: go on with the version that made it"
            )
        self.folder.weights.mkdir(exist_ok=True)
        for part in (*self.folder.path.glob("*.part"), *self.folder.weights.glob("*.part")):
            part.unlink(missing_ok=True)
        under_way = {checkpoint_of(weights_name(t.key, t.replicate)) for t in archive.having("running")}
        for state in self.folder.weights.glob(checkpoint_of("*")):
            if state.name not in under_way:
                state.unlink(missing_ok=True)
        write_atomically(self.folder.config, to_toml(_public(self.config)).encode())
        return archive

    def _search(self) -> Ending:
        config, plan = self.config, self.plan
        extra: dict[str, Any] = {"reevaluate": True} if config.reevaluate else {}
        if config.zero_cost:
            self.scoring = extra["untrained"] = Scoring(config, plan)
        algorithm: Algorithm = ALGORITHMS[config.algorithm](plan.problem, seed=config.seed, warm=self.warm, **extra)
        budget = config.budget
        if config.settle:
            algorithm = Settler(plan.problem, images=int(plan.data.get("validation", 1000)))
            budget = self.archive.spent + config.settle
        workers = BACKENDS[config.backend](
            plan.spec,
            workers=plan.workers,
            gpus=plan.gpus,
            address=config.address,
            folder="" if config.weights else str(self.folder.weights.absolute()),
        )
        try:
            with Progress(self.archive, budget, plan.workers) as progress:
                loop = Loop(
                    problem=plan.problem,
                    algorithm=algorithm,
                    workers=workers,
                    archive=self.archive,
                    folder=self.folder,
                    recipe=plan.recipe.to_json(),
                    seed=config.seed,
                    budget=budget,
                    timeout=config.trial_timeout,
                    weights=config.weights.rstrip("/"),
                    stop_below=config.stop_below,
                    on_change=progress.update,
                )
                with _signals(loop):
                    try:
                        return loop.run()
                    except KeyboardInterrupt:  # the time to stop is over, in the midst of an evaluation in this process
                        return "interrupted"
        finally:
            workers.close()


def begin(config: SearchConfig, folder: RunFolder) -> Session:
    """A new run: nothing is written before the plan stands.

    Raises:
        UserError: with every fault of the options.
    """
    plan = prepare(config)
    return Session(config, plan, folder, new_place(config, folder), resumed=False, warm=_warm(config, plan))


def new_place(config: SearchConfig, folder: RunFolder) -> Place:
    """Where a new run's study goes; in a database by a name of its own, which a run that was killed half-made cannot have taken."""
    return Place(config.storage, f"{folder.path.resolve().name}-{secrets.token_hex(4)}") if config.storage else Place()


def proceed(config: SearchConfig, folder: RunFolder) -> Session:
    """An existing run, with its data checked against what it was begun with.

    Raises:
        UserError: the data are not those of the run.
    """
    plan = prepare(config)
    about = folder.read_environment()
    known = about.get("data")
    before = known.get("checksum") if isinstance(known, dict) else None
    if before != plan.data.get("checksum"):
        raise UserError(
            f"the data set {config.dataset!r} has checksum {plan.data.get('checksum')} now and had {before} when the run began: "
            "give it the same images, or start a new run"
        )
    if isinstance(known, dict) and known.get("latency_tables") != plan.data.get("latency_tables"):
        raise UserError("a latency table has changed since the run began: give it the same file, or start a new run")
    place = folder.place()
    if bool(config.storage) != bool(place.url):
        raise UserError(
            f"the study of {str(folder.path)!r} lies in {place.url or 'its folder'}, and --storage moves no study: leave --storage out"
        )
    return Session(config, plan, folder, Place(config.storage, place.study), resumed=True, warm=_warm(config, plan))


def _warm(config: SearchConfig, plan: Plan) -> list[Trial]:
    """Finished trials of the run that `--from` names.

    Raises:
        UserError: that run is of another space, data set or recipe.
    """
    if not config.from_run:
        return []
    about = RunFolder.open(config.from_run).read_environment()
    space = plan.problem.space
    if (
        about.get("space", {}).get("name") != space.name
        or about.get("data", {}).get("checksum") != plan.data["checksum"]
    ):
        raise UserError(
            f"--from takes a run of the same space and data, and {config.from_run!r} has others: leave it out"
        )
    archive = Archive.open(config.from_run, space=space)
    # Rungs decide what is trained to the end, not what it comes to.
    if replace(Recipe.from_json(archive.recipe), rungs=()) != replace(plan.recipe, rungs=()):
        raise UserError(f"--from takes a run of the same recipe, and {config.from_run!r} has another: leave it out")
    wanted = {objective.name for objective in plan.problem.objectives}
    return [trial for trial in archive.having("finished") if wanted <= set(trial.scores)]


def _public(config: SearchConfig) -> SearchConfig:
    """The options as they may be written down: without passwords."""
    return replace(config, storage=public(config.storage), weights=public(config.weights), settle=0)


def _about(plan: Plan, config: SearchConfig, place: Place) -> dict[str, Any]:
    facts = environment()
    if config.storage:
        facts["command"] = facts["command"].replace(config.storage, public(config.storage))
    return {
        "format": FORMAT,
        **facts,
        "device": plan.device,
        "workers": plan.workers,
        "data": dict(plan.data),
        "space": {"name": plan.problem.space.name, "architectures": plan.problem.space.size},
        "recipe": asdict(plan.recipe),
        **({"storage": {"url": public(place.url), "study": place.study}} if place.url else {}),
        **({"weights": public(config.weights)} if config.weights else {}),
    }


@contextmanager
def _signals(loop: Loop) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) lets the search end within seconds, the second ends it at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if loop.stopping:
            _say("\x1b[?25h" if os.isatty(1) else "")  # the live line hides the cursor
            os._exit(INTERRUPTED)
        _say(f"\nstopping: what is under way has {STOP_SECONDS:g} s to end; again to stop at once\n")
        loop.stop(seconds=STOP_SECONDS)
        signal.signal(signal.SIGALRM, abandon)
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS + 0.5)

    def abandon(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # whoever runs us there minds the signals
        yield
        return
    # Who starts a search under nohup wants it to outlive the terminal.
    caught = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in caught}
    before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    """Writes at once from a signal handler, be there a terminal or not."""
    with contextlib.suppress(OSError):
        os.write(1, text.encode())
