import json
import math
import statistics
from pathlib import Path

import pytest
from synthetic import Synthetic, synthetic

from evaluators.objective import OBJECTIVES
from nas.pick import knee_of
from nas.problem import Trial
from nas.report.beside import Beside
from nas.report.page_data import page_data
from nas.training.results import Result


def data_of(archive: Synthetic, **options: str) -> dict:
    return page_data(archive, archive.front(), title="run", **options)  # type: ignore[arg-type]


def test_objectives_come_first_among_the_axes_and_other_scores_after() -> None:
    axes = data_of(synthetic(30, objectives="accuracy,latency_ms"))["axes"]
    assert [(axis["name"], axis["objective"]) for axis in axes] == [
        ("accuracy", True),
        ("latency_ms", True),
        ("params", False),
        ("macs", False),
    ]


def test_members_front_and_knee_are_those_of_the_archive() -> None:
    archive = synthetic(120)
    data, front = data_of(archive), archive.front()
    assert {m["key"] for m in data["members"] if m["front"]} == {member.trial.key for member in front}
    assert data["knee"] == knee_of(front, archive.objectives).trial.key
    assert len(data["members"]) == data["counts"]["finished"]
    assert all(len(choice["indices"]) == len(data["members"]) for choice in data["choices"])


def test_failures_are_counted_by_kind_and_have_no_scores() -> None:
    archive = synthetic(200, failed=0.5)
    data = data_of(archive)
    assert sum(failure["count"] for failure in data["failures"]) == data["counts"]["failed"]
    assert [f["count"] for f in data["failures"]] == sorted((f["count"] for f in data["failures"]), reverse=True)
    assert all(len(failure["examples"]) <= 20 and failure["meaning"] for failure in data["failures"])


def test_replicates_give_a_mean_and_its_spread_and_a_single_latency_its_interval() -> None:
    archive = synthetic(20, objectives="accuracy,latency_ms", failed=0, replicates=1)
    first, second, *_ = data_of(archive)["members"]
    pair = [t.scores["accuracy"] for t in archive.trials if t.key == archive.trials[0].key]
    assert first["replicates"] == 2
    assert first["scores"][0] == pytest.approx(statistics.fmean(pair))
    assert first["spread"][0]["high"] - first["scores"][0] == pytest.approx(statistics.stdev(pair))
    assert second["spread"][0] is None
    assert second["spread"][1]["low"] == pytest.approx(0.94 * second["scores"][1])


def test_shares_of_macs_are_shown_where_they_were_noted() -> None:
    archive = synthetic(3, failed=0)
    shares = data_of(archive)["members"][0]["shares"]
    assert len(shares["macs"]) == 6 and sum(shares["macs"]) == pytest.approx(1, abs=1e-3)
    assert shares["latency"] is None
    for odd in (None, "x", [1, 2], ["a"] * 6, [0] * 6, [math.inf] * 6):
        trial = Trial(**{**vars(archive.trials[0]), "details": {"macs_by_stage": odd}})
        assert data_of(Synthetic([trial], archive.objectives))["members"][0]["shares"]["macs"] is None


def test_importance_waits_for_enough_trials() -> None:
    assert data_of(synthetic(10))["importance"]["rows"] == []
    rows = data_of(synthetic(200))["importance"]["rows"]
    assert rows[0]["choice"] == "resolution"
    assert all(0 <= share <= 1 for row in rows for share in row["shares"])


def test_commands_name_the_run_as_a_shell_takes_it() -> None:
    assert data_of(synthetic(3), run="my runs/one")["run"] == "'my runs/one'"
    assert data_of(synthetic(3))["run"] == "run"


def test_a_run_without_a_finished_trial_has_data_too() -> None:
    failed = Synthetic([t for t in synthetic(40, failed=0.5).trials if t.state == "failed"], synthetic(1).objectives)
    for archive in (failed, Synthetic([], (OBJECTIVES["accuracy"], OBJECTIVES["macs"]))):
        data = data_of(archive)
        assert data["members"] == [] and data["knee"] is None and data["hypervolume"] is None
        assert data["history"]["values"] == ()


def test_everything_is_strict_json() -> None:
    json.dumps(data_of(synthetic(40, replicates=5)), allow_nan=False)


def beside_of(archive: Synthetic, tmp_path: Path) -> Beside:
    key = archive.front()[0].trial.key
    end = {"seed": 0, "test_accuracy": 0.9}
    return Beside(
        confidence={trial.key: 0.25 for trial in archive.trials},
        deviations={trial.key: {"accuracy": 0.01} for trial in archive.trials},
        basis="287 validation images",
        measured={key: {"latency_ms": {"median_ms": 3.5}}},
        trained=[Result(tmp_path, {"key": key, "label": "full, 100 epochs", "seeds": [end]})],
    )


def test_what_stands_beside_the_scores_is_told(tmp_path: Path) -> None:
    archive = synthetic(60, objectives="accuracy,latency_ms", failed=0, replicates=1)
    more, key = beside_of(archive, tmp_path), archive.front()[0].trial.key
    found = {m["key"]: m for m in page_data(archive, archive.front(), title="run", beside=more)["members"]}  # type: ignore[arg-type]
    first, other = found[key], found[archive.trials[2].key]
    assert first["sure"] == other["sure"] == 0.25
    assert first["measured"] == [None, 3.5, None, None] and other["measured"] == [None] * 4
    assert first["trained"] == [{"label": "full, 100 epochs", "seeds": 1, "accuracy": "90.00 % (1 seed)"}]
    spread = other["spread"][0]
    assert spread["high"] - spread["low"] == pytest.approx(0.02) and "from 287 validation images" in spread["of"]
    own = next(m for m in found.values() if m["replicates"] == 2)
    assert own["spread"][0]["of"] == "± 1 s.d. of 2 replicates"


def test_without_a_folder_nothing_stands_beside() -> None:
    member = data_of(synthetic(20))["members"][0]
    assert member["sure"] is None and member["trained"] == [] and set(member["measured"]) == {None}
