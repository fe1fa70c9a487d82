"""Full training of picked networks, from what a run holds to results beside it: which jobs there are, and what they came to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluators.training.recipe import Recipe
from nas.archive import Archive
from nas.environment import environment
from nas.errors import UserError
from nas.exports.rebuild import load_data, search_weights
from nas.loop import seed_of
from nas.members import Member
from nas.options import read_toml
from nas.pick import Pick, pick
from nas.run import RunFolder
from nas.training.job import Job, Metrics
from nas.training.on_tune import place_of, run_jobs
from nas.training.options import TrainConfig, label_of, sample_recipes
from nas.training.results import Result, folder_of, result_of, write_result


@dataclass(frozen=True)
class Course:
    """What all trainings of one call have in common."""

    run: RunFolder
    archive: Archive
    config: TrainConfig
    recipe: Recipe
    device: str
    gpus: int
    workers: int

    @property
    def label(self) -> str:
        """How the results are labelled."""
        return label_of(self.config, self.recipe)

    def folder(self, member: Member) -> Path:
        """Where the result of a member goes."""
        return folder_of(self.run, key=member.trial.key, label=self.label)

    def carry(self, jobs: Sequence[Job], *, stage: str, halving: bool) -> dict[str, Metrics]:
        """Runs jobs on Tune, saying how far they are."""
        folder = self.run.path / "trained" / "tune" / self.label / stage
        return run_jobs(
            jobs,
            folder=folder,
            workers=min(self.workers, len(jobs)),
            gpus=self.gpus,
            epochs=self.recipe.epochs,
            halving=halving,
            on_progress=Meter(len(jobs), self.recipe.epochs),
        )


def train_picks(course: Course, picks: Sequence[Pick]) -> tuple[list[Result], list[str]]:
    """Trains every pick with every seed; results in the order of the picks, and a sentence for every training that failed.

    With several samples the recipe of each pick is chosen first, on the validation part.

    Raises:
        UserError: another process trains this run, or weights or images are missing.
    """
    load_data(
        course.run, course.run.read_environment()["data"]
    )  # missing images are a sentence here, not a trace in a worker
    place = RunFolder(course.run.path / "trained")
    place.path.mkdir(exist_ok=True)
    with place.locked():
        failures: list[str] = []
        recipes = {p.member.trial.key: course.recipe.to_json() for p in picks}
        if course.config.samples > 1:
            recipes = _choose(course, picks, failures)
        jobs = [
            _job(course, p.member, name=f"seed-{k}", recipe=recipes[p.member.trial.key], replicate=k, final=True)
            for p in picks
            for k in range(course.config.seeds)
            if p.member.trial.key in recipes
        ]
        missing = [job for job in jobs if not Path(job.folder, f"{job.name}.json").exists()]
        ends = course.carry(missing, stage="final", halving=False) if missing else {}
        failures += _failures(missing, ends)
        results = [_result(course, p, recipes[p.member.trial.key]) for p in picks if p.member.trial.key in recipes]
        if not failures:
            shutil.rmtree(place.path / "tune" / course.label, ignore_errors=True)
    return [result for result in results if result is not None], failures


def _choose(course: Course, picks: Sequence[Pick], failures: list[str]) -> dict[str, dict[str, Any]]:
    """The best recipe of each pick: of the samples that were trained to their end, the most accurate on the validation part."""
    samples = sample_recipes(course.recipe, course.config.samples, seed=course.config.seed)
    jobs = [
        _job(course, p.member, name=f"sample-{i}", recipe=recipe.to_json(), replicate=0, final=False)
        for i, recipe in enumerate(samples)
        for p in picks
    ]
    ends = course.carry(jobs, stage="samples", halving=True)
    chosen: dict[str, dict[str, Any]] = {}
    best: dict[str, float] = {}
    for job in jobs:
        end = ends.get(place_of(job), {})
        if "failure" not in end and "seconds" in end and end["accuracy"] > best.get(job.key, -1.0):
            best[job.key], chosen[job.key] = end["accuracy"], dict(job.recipe)
    for p in picks:
        if p.member.trial.key not in chosen:
            failures.append(f"{p.member.trial.key}: no sample of the recipe could be trained to its end")
    return chosen


def _job(course: Course, member: Member, *, name: str, recipe: dict[str, Any], replicate: int, final: bool) -> Job:
    folder = course.folder(member)
    folder.mkdir(parents=True, exist_ok=True)
    config, about = read_toml(course.run.config), course.run.read_environment()
    teacher = _teacher(course) if course.config.distil else None
    key = member.trial.key
    return Job(
        name=name,
        key=key,
        architecture=member.trial.architecture,
        recipe=recipe,
        seed=seed_of(course.config.seed, key=key, replicate=replicate),
        replicate=replicate,
        final=final,
        data={
            "name": config["dataset"],
            "data_dir": config["data_dir"] or None,
            "skip_broken": config["skip_broken"],
            "checksum": about["data"]["checksum"],
        },
        folder=str(folder.absolute()),
        device=course.device,
        weights=str(_weights(course.run, member)) if course.config.from_weights else "",
        teacher=teacher[0].trial.architecture if teacher else None,
        teacher_weights=str(teacher[1]) if teacher else "",
    )


def _teacher(course: Course) -> tuple[Member, Path]:
    """The most accurate member of the front and its weights: fully trained ones where there are any."""
    archive = course.archive
    member = pick("best:accuracy", archive.front(), archive.front(), archive.objectives).member
    result = result_of(course.run, key=member.trial.key)
    return member, result.weights.absolute() if result is not None else _weights(course.run, member)


def _weights(run: RunFolder, member: Member) -> Path:
    path = search_weights(run, member).absolute()
    if not path.is_file():
        raise UserError(
            f"the search's weights {str(path)!r} are missing: restore them, or train without --from-weights"
        )
    return path


def _result(course: Course, picked: Pick, recipe: dict[str, Any]) -> Result | None:
    """Writes what the seeds came to; `None` where none ended well."""
    folder, member = course.folder(picked.member), picked.member
    about, teacher = course.run.read_environment(), _teacher(course)[0].trial.key if course.config.distil else None
    versions = environment()
    return write_result(
        folder,
        {
            "key": member.trial.key,
            "label": course.label,
            "picked": picked.reason,
            "recipe": recipe,
            "trained_on": "train and validation part",
            "measured_on": "test part, once a seed",
            "from_weights": course.config.from_weights,
            "distilled_from": teacher,
            "samples": course.config.samples,
            "data": {name: about["data"][name] for name in ("name", "checksum", "train", "validation", "test")},
            "command": versions["command"],
            "versions": {"nas": versions["nas"], "python": versions["python"], **versions["packages"]},
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def _failures(jobs: Sequence[Job], ends: dict[str, Metrics]) -> list[str]:
    sentences = []
    for job in jobs:
        end = ends.get(place_of(job), {})
        if "failure" in end:
            sentences.append(f"{job.key} {job.name}: {end['failure']}: {end.get('message', '')}")
        elif "test_accuracy" not in end:
            sentences.append(f"{job.key} {job.name}: ended before its last epoch")
    return sentences


class Meter:
    """Says how far the trainings are: on a terminal after every epoch, in a file at every tenth."""

    def __init__(self, jobs: int, epochs: int) -> None:
        self._total = jobs * epochs
        self._done: dict[str, int] = {}
        self._said = -1

    def __call__(self, job: Job, metrics: Metrics) -> None:
        """Takes in what a job told."""
        self._done[place_of(job)] = int(metrics["epoch"])
        done = sum(self._done.values())
        line = f"{done} of {self._total} epochs · {job.key[:8]} {job.name} loss {metrics.get('loss', 0.0):.3f}"
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="\n" if done >= self._total else "", flush=True)
        elif 10 * done // self._total > self._said:
            self._said = 10 * done // self._total
            print(line, flush=True)
