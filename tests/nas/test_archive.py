"""The archive: what is written is read again, counts are right, and a record that no search wrote is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluators.objective import OBJECTIVES
from nas.archive import Archive, open_study
from nas.errors import UserError
from nas.problem import Proposal
from nas.records import read_frame, read_limits, read_objectives, read_trial
from nas.run import Place, RunFolder
from tests.faults.driver import toy_problem

OBJECTIVE = {"name": "accuracy", "goal": "max", "unit": "fraction", "kind": "trained"}


def archive(run: Path, place: Place = Place()) -> Archive:  # noqa: B008
    problem = toy_problem()
    run.mkdir()
    told = f', "storage": {{"url": "{place.url}", "study": "{place.study}"}}' if place.url else ""
    (run / "environment.json").write_text(f'{{"format": 1{told}}}')
    return Archive.create(
        RunFolder(run),
        space=problem.space,
        objectives=problem.objectives,
        limits=(),
        recipe={"name": "stub"},
        frame={"macs": [9.0, 1.0]},
        place=place,
    )


def start(held: Archive, genotype: tuple[int, ...] = (0, 1, 2)) -> int:
    problem = toy_problem()
    architecture = problem.space.decode(genotype)
    return held.start(
        Proposal(genotype), architecture=architecture.to_json(), key=architecture.key, scores={"macs": 6.0}, seed=3
    ).number


@pytest.mark.parametrize("storage", ["journal", "database"])
def test_what_is_written_is_read_again(tmp_path: Path, storage: str) -> None:
    place = Place(f"sqlite:///{tmp_path}/db", "mine") if storage == "database" else Place()
    held = archive(tmp_path / "run", place)
    first, second, third = start(held), start(held, (3, 3, 3)), start(held, (4, 4, 4))
    held.measured(first, scores={"accuracy": 0.5}, details={"seconds": {"total": 1.0}, "worker": "a"})
    held.finish(first)
    held.fail(second, kind="diverged", message="nan", details={"seconds": {"total": 2.0}})
    again = Archive.open(tmp_path / "run", space=toy_problem().space)
    assert list(again.trials) == list(held.trials)
    assert [trial.state for trial in again.trials] == ["finished", "failed", "running"]
    assert all(again.count(state) == held.count(state) == 1 for state in ("finished", "failed", "running"))
    assert again.frame == {"macs": [9.0, 1.0]} and again.objectives == tuple(
        OBJECTIVES[n] for n in ("accuracy", "macs")
    )
    assert open_study(tmp_path / "run").trials[first].values == [0.5, 6.0]
    assert third == 2 and not (tmp_path / "run" / "study.journal").exists() == (storage == "database")


def test_a_failure_that_was_cut_short_is_no_failure(tmp_path: Path) -> None:
    held = archive(tmp_path / "run")
    number = start(held)
    held._storage.set_trial_user_attr(held._ids[number], "failure", {"kind": "error", "message": "half"})
    (trial,) = Archive.open(tmp_path / "run").trials
    assert trial.state == "running" and trial.failure is None and trial.message == ""


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    for url, words in {
        f"sqlite:///{tmp_path}/none/db": "cannot be used",
        "nonsense": "cannot be used",
        "postgresql+nodriver://me:secret@host/nas": "must be a database URL|cannot be used",
    }.items():
        run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        with pytest.raises(UserError, match=words) as caught:
            archive(run, Place(url, "x"))
        assert "secret" not in str(caught.value)


TRIAL: dict[str, Any] = {"key": "0" * 16, "architecture": {}, "seed": 1, "scores": {"accuracy": 0.5}}
BAD_TRIALS: dict[str, dict[str, Any]] = {
    "a key that leaves its folder": {"key": "../../etc/passwd"},
    "a key with a newline": {"key": "0" * 16 + "\n"},
    "a seed of text": {"seed": "1"},
    "a score of text": {"scores": {"accuracy": "high"}},
    "a score of nan": {"scores": {"accuracy": float("nan")}},
    "a huge score": {"scores": {"accuracy": 10**400}},
    "no score": {"scores": {}},
    "scores in a list": {"scores": [1]},
    "an architecture of text": {"architecture": "x"},
    "details of text": {"details": "x"},
    "a replicate below 0": {"replicate": -1},
    "a curve of text": {"details": {"curve": "up"}},
    "a curve without epochs": {"details": {"curve": [{"accuracy": 0.5}]}},
    "a curve of texts": {"details": {"curve": [{"epoch": 1, "accuracy": "high"}]}},
    "a forecast in a list": {"details": {"pruned": [1]}},
    "a forecast of nan": {"details": {"pruned": {"scores": {"accuracy": float("nan")}}}},
}


@pytest.mark.parametrize("name", BAD_TRIALS)
def test_a_record_that_no_search_wrote(name: str) -> None:
    objectives = read_objectives([OBJECTIVE])
    place: dict[str, Any] = {"number": 0, "state": "COMPLETE", "genotype": (), "objectives": objectives}
    assert read_trial(TRIAL, **place).key == "0" * 16
    with pytest.raises(ValueError):
        read_trial({**TRIAL, **BAD_TRIALS[name]}, **place)


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (read_objectives, {}),
        (read_objectives, []),
        (read_objectives, [OBJECTIVE] * 17),
        (read_objectives, [{**OBJECTIVE, "goal": "most"}]),
        (read_objectives, [{**OBJECTIVE, "name": ""}]),
        (read_objectives, [{**OBJECTIVE, "unit": 3}]),
        (read_objectives, [{"name": "x"}]),
        (read_limits, [{"name": "macs", "relation": "<", "value": 3}]),
        (read_limits, [{"name": "macs", "relation": "<=", "value": "3"}]),
        (read_limits, 3),
        (read_frame, {"macs": [1]}),
        (read_frame, {"macs": [1, "2"]}),
        (read_frame, []),
    ],
)
def test_heads_that_no_search_wrote(reader: Callable[[object], object], value: object) -> None:
    with pytest.raises(ValueError):
        reader(value)
