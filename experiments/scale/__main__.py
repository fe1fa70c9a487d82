"""The controller's cost a trial, its memory and its workers' utilisation, by simulation and on real actors.

python -m experiments.scale [--trials 10000] [--workers 64] [--algorithms random,nsga2] [--actors 8]
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluators.counts import count
from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome
from evaluators.objective import OBJECTIVES
from experiments.scale.simulated import Simulated
from nas.algorithms.catalogue import ALGORITHMS
from nas.archive import Archive
from nas.loop import Loop
from nas.members import frame_of
from nas.plan import Counts
from nas.problem import Problem, Trial
from nas.progress import Progress
from nas.run import RunFolder
from nas.workers.catalogue import Workers
from search_spaces.catalogue import SPACES
from search_spaces.space import Genotype

HERE = Path(__file__).parent
SIGMA = 0.5
# Means of the real actors' trials: half of what a trial of the default search takes on two cores, and a hard case.
ACTOR_SECONDS = (4.0, 1.0)
TRIALS_AN_ACTOR = 32


@dataclass(frozen=True)
class Row:
    """What was measured of one search.

    `ms` are the controller's milliseconds a trial by the clock and without the counting of MACs, over all trials, the first and the last
    tenth; `cpu_ms` are those of the processor, which do not depend on what else the machine does; `count_ms` is the counting.
    """

    kind: str
    algorithm: str
    workers: int
    trials: int
    mean_seconds: float
    ms: float
    ms_first: float
    ms_last: float
    cpu_ms: float
    cpu_ms_first: float
    cpu_ms_last: float
    count_ms: float
    memory_mb: float
    utilisation: float
    resume_seconds: float
    journal_mb: float


def measure(
    kind: str, *, algorithm: str, workers: int, trials: int, mean_seconds: float, path: Path
) -> tuple[Row, list[float]]:
    """Runs one search to its end; the row, and the controller's processor milliseconds at each trial."""
    space = SPACES["pix"](channels=1, resolution=32, classes=10)
    counts = Counts(space, count)
    counting = Stopwatch()

    def counted(genotype: Genotype) -> Mapping[str, float]:
        with counting:
            return counts(genotype)

    problem = Problem(space, (OBJECTIVES["accuracy"], OBJECTIVES["macs"]), (), counted)
    folder = RunFolder(path)
    frame = frame_of(problem, chance=0.1)
    recipe = {"name": "stub"}
    (path / "environment.json").write_text('{"format": 1}')
    archive = Archive.create(folder, space=space, objectives=problem.objectives, limits=(), recipe=recipe, frame=frame)
    pool: Simulated | Watched
    if kind == "simulated":
        pool = Simulated(workers=workers, mean_seconds=mean_seconds, sigma=SIGMA)
    else:
        from nas.workers.on_ray import OnRay

        spec = EvaluatorSpec("experiments.scale.sleeper:Sleeper", {"mean_seconds": mean_seconds, "sigma": SIGMA})
        pool = Watched(OnRay(spec, workers=workers))
        while pool.capacity < workers:
            pool.wait(0.1)
    ends: list[tuple[float, float]] = []

    def moment() -> tuple[float, float]:
        return time.perf_counter() - counting.seconds, time.process_time() - counting.cpu_seconds

    with Progress(archive, trials, workers) as progress:

        def note(trial: Trial | None) -> None:
            progress.update(trial)
            if trial is not None and trial.state == "finished":
                ends.append(moment())

        loop = Loop(
            problem=problem,
            algorithm=ALGORITHMS[algorithm](problem, seed=0),
            workers=pool,
            archive=archive,
            folder=folder,
            recipe=recipe,
            seed=0,
            budget=trials,
            on_change=note,
        )
        first = moment()
        counted_before = counting.seconds
        begun = pool.now()
        loop.run()
        # What ends after the last start has no successor: up to there every worker should have been at work.
        last = pool.last_start
        busy = sum(max(0.0, min(end, last) - max(start, begun)) for start, end in pool.at_work)
        utilisation = busy / (workers * (last - begun))
    pool.close()
    took = 1e3 * np.diff([first, *ends], axis=0)
    part = max(1, trials // 10)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    begun = time.perf_counter()
    Archive.open(path, space=space)
    row = Row(
        kind=kind,
        algorithm=algorithm,
        workers=workers,
        trials=trials,
        mean_seconds=mean_seconds,
        **_milliseconds(took, part),
        count_ms=round(1e3 * (counting.seconds - counted_before) / trials, 2),
        memory_mb=round(memory),
        utilisation=round(utilisation, 4),
        resume_seconds=round(time.perf_counter() - begun, 1),
        journal_mb=round(folder.journal.stat().st_size / 2**20, 1),
    )
    return row, took[:, 1].tolist()


def _milliseconds(took: NDArray[np.float64], part: int) -> dict[str, float]:
    """Means over all trials, the first and the last tenth, by the clock and by the processor."""
    return {
        f"{name}{suffix}": round(float(rows[:, column].mean()), 2)
        for column, name in enumerate(("ms", "cpu_ms"))
        for suffix, rows in (("", took), ("_first", took[:part]), ("_last", took[-part:]))
    }


class Stopwatch:
    """A context that adds up the seconds spent in it, by the clock and by the processor."""

    seconds = 0.0
    cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._start[0]
        self.cpu_seconds += time.process_time() - self._start[1]


class Watched:
    """A pool whose evaluations are noted: when each was at work, and when the last one was given to it."""

    def __init__(self, pool: Workers) -> None:
        self._pool = pool
        self.at_work: list[tuple[float, float]] = []
        self.last_start = 0.0
        self.now, self.close = time.perf_counter, pool.close

    @property
    def capacity(self) -> int:
        """As the pool says."""
        return self._pool.capacity

    def submit(self, evaluation: Evaluation) -> None:
        """As the pool does."""
        self._pool.submit(evaluation)
        self.last_start = self.now()

    def wait(self, seconds: float) -> list[Outcome]:
        """As the pool does."""
        outcomes = self._pool.wait(seconds)
        took = [outcome.details["seconds"]["total"] for outcome in outcomes if outcome.failure is None]
        self.at_work += [(self.now() - seconds, self.now()) for seconds in took]
        return outcomes


def main() -> None:
    """Measures each search in a process of its own, so that memory is its own; writes table and plot beside this file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--mean-seconds", type=float, default=60.0, help="of a simulated trial")
    parser.add_argument("--algorithms", default="random,nsga2")
    parser.add_argument("--actors", type=int, default=8, help="real actors, 0 for none")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, algorithm, workers, trials, seconds, target = options.one.split(",")
        with tempfile.TemporaryDirectory() as path:
            row, took = measure(
                kind,
                algorithm=algorithm,
                workers=int(workers),
                trials=int(trials),
                mean_seconds=float(seconds),
                path=Path(path),
            )
        np.savez(target, took=np.array(took), **{name: np.array(value) for name, value in asdict(row).items()})
        return
    jobs = [
        ("simulated", name, options.workers, options.trials, options.mean_seconds)
        for name in options.algorithms.split(",")
    ]
    if options.actors:
        jobs += [("actors", "random", options.actors, TRIALS_AN_ACTOR * options.actors, s) for s in ACTOR_SECONDS]
    rows, curves = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, *rest in jobs:
            target = f"{folder}/{kind}-{rest[0]}-{rest[-1]}.npz"
            words = ",".join(map(str, [kind, *rest, target]))
            subprocess.run([sys.executable, "-m", "experiments.scale", "--one", words], check=True)
            found = np.load(target)
            rows.append(Row(**{name: found[name].item() for name in Row.__dataclass_fields__}))
            print(rows[-1], flush=True)
            if kind == "simulated":
                curves[rest[0]] = found["took"]
    with open(HERE / "scale.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    _plot(curves)


def _plot(curves: dict[str, np.ndarray]) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    for name, took in curves.items():
        part = max(1, len(took) // 50)
        means = took[: len(took) // part * part].reshape(-1, part).mean(axis=1)
        axes.plot(np.arange(1, len(means) + 1) * part, means, label=name)
    axes.axhline(10, color="grey", linestyle=":", label="10 ms")
    axes.set(xlabel="trials", ylabel="controller, processor ms a trial", ylim=(0, None))
    axes.legend()
    figure.savefig(HERE / "scale.svg")


if __name__ == "__main__":
    main()
