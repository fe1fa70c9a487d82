"""Jobs carried by Ray Tune, several side by side; the only door to it.

Checkpoints lie in Tune's folders as safetensors and JSON. A later attempt looks for them itself and tells what was told before
once more: nothing that Tune has pickled is ever read, and the scheduler comes to know what it knew.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.training.job import Job, Metrics, run
from nas.workers.on_ray import start_ray

STATE_SECONDS = 10.0
RETRIES = 2
REDUCTION = 3
Progress = Callable[[Job, Metrics], None]


def run_jobs(
    jobs: Sequence[Job],
    *,
    folder: Path,
    workers: int,
    gpus: int,
    epochs: int,
    halving: bool,
    on_progress: Progress,
) -> dict[str, Metrics]:
    """Runs jobs to their ends; the last that each told, by the job's folder and name.

    Args:
        jobs: with names that differ within a folder.
        folder: where Tune keeps its files; earlier attempts there are gone on with.
        workers: how many run at a time.
        gpus: that they share; 0 for the CPU.
        epochs: of every job.
        halving: stops a job early where others of its architecture did better at the same epoch (ASHA, Li et al. 2020).
        on_progress: is called with a job and what it told.
    """
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # a data set may be named by a relative path
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C comes to us: states of at most ten seconds ago are kept
    started = start_ray(cpus=workers, gpus=gpus)
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are told by whoever called
    attempt = folder / f"attempt-{len(list(folder.glob('attempt-*'))) + 1}"
    earlier = [str(old) for old in sorted(folder.glob("attempt-*"))]
    trainable = tune.with_parameters(_trainable, earlier=earlier)
    resources = {"cpu": 1.0, "gpu": min(1.0, gpus / workers) if gpus else 0.0}
    last: dict[str, Metrics] = {}

    def note(job: Job, metrics: Metrics) -> None:
        last[place_of(job)] = {**last.get(place_of(job), {}), **metrics}
        on_progress(job, metrics)

    try:
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"job": tune.grid_search([job.to_json() for job in jobs])},
            tune_config=tune.TuneConfig(
                scheduler=_halving(epochs) if halving else None,
                metric="accuracy" if halving else None,
                mode="max" if halving else None,
                reuse_actors=True,
                max_concurrent_trials=workers,
                trial_name_creator=lambda trial: _name(Job(**trial.config["job"])),
                trial_dirname_creator=lambda trial: _name(Job(**trial.config["job"])),
            ),
            run_config=tune.RunConfig(
                name=attempt.name,
                storage_path=str(folder.absolute()),
                verbose=0,
                callbacks=[_callback(note)],
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                failure_config=tune.FailureConfig(max_failures=RETRIES),
            ),
        )
        grid: Any = tuner.fit()
        for result in grid:
            if result.error is not None:
                job = Job(**result.config["job"])
                text = str(result.error).strip().splitlines()[-1][:300]
                last[place_of(job)] = {**last.get(place_of(job), {}), "failure": "error", "message": text}
    finally:
        if started:
            ray.shutdown()
    return last


def place_of(job: Job) -> str:
    """What a job is known by."""
    return f"{job.folder}/{job.name}"


def _name(job: Job) -> str:
    return f"{job.key}-{job.name}"


def _trainable(config: dict[str, Any], *, earlier: list[str]) -> None:
    """Runs in a worker: the job, its checkpoints and its reports."""
    from ray import tune
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    job = Job(**config["job"])
    own = tune.get_checkpoint()
    candidates = [Path(own.path)] if own is not None else []
    candidates += [path for old in earlier for path in Path(old, _name(job)).glob("checkpoint_*")]
    history, start, told = [], None, 0
    for path in candidates:
        try:
            told_then = json.loads((path / "history.json").read_text(encoding="utf-8"))
            if len(told_then) > told:
                start, history, told = load_file(path / "state.safetensors"), told_then, len(told_then)
        except (OSError, ValueError, SafetensorError):  # a copy that a kill cut short
            continue
    reports = list[Metrics]()
    saved = time.monotonic()

    def tell(metrics: Metrics, state: Any) -> None:
        nonlocal saved
        reports.append(metrics)
        if state is None or time.monotonic() - saved < STATE_SECONDS:
            tune.report(metrics)
            return
        saved = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            save_file(state(), Path(place) / "state.safetensors")
            (Path(place) / "history.json").write_text(json.dumps(reports), encoding="utf-8")
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(place))

    run(job, tell, history=history, start=start)


def _halving(epochs: int) -> Any:
    """ASHA for each architecture by itself: a small network is not stopped because a large one is ahead."""
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    class HalvingByArchitecture(FIFOScheduler):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._inner: dict[str, Any] = {}

        def _of(self, trial: Any) -> Any:
            key = trial.config["job"]["key"]
            if key not in self._inner:
                self._inner[key] = ASHAScheduler(
                    time_attr="epoch",
                    metric="accuracy",
                    mode="max",
                    max_t=epochs,
                    grace_period=max(1, epochs // REDUCTION**2),
                    reduction_factor=REDUCTION,
                    stop_last_trials=False,
                )
            return self._inner[key]

        def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
            return True

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            self._of(trial).on_trial_add(tune_controller, trial)

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> Any:
            return self._of(trial).on_trial_result(tune_controller, trial, result)

    return HalvingByArchitecture()


def _callback(note: Progress) -> Any:
    from ray.tune import Callback

    class Told(Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Metrics, **info: Any) -> None:
            names = ("epoch", "loss", "accuracy", "test_accuracy", "failure", "message", "seconds")
            note(Job(**trial.config["job"]), {name: result[name] for name in names if name in result})

    return Told()
