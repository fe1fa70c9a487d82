import pytest
from synthetic import Synthetic, synthetic

from nas.members import hypervolume
from nas.problem import Trial
from nas.report.history import MOST_POINTS, history, seconds_of


@pytest.mark.parametrize("objectives", ["accuracy,macs", "accuracy,macs,latency_ms"])
@pytest.mark.parametrize("replicates", [0, 12])
def test_every_point_is_the_hypervolume_of_the_trials_up_to_it(objectives: str, replicates: int) -> None:
    archive = synthetic(60, objectives=objectives, replicates=replicates)
    found = history(archive.trials, archive.objectives, frame=archive.frame)
    finished = [trial for trial in archive.trials if trial.state == "finished"]
    whole = dict(archive.frame)
    if "latency_ms" in objectives:
        first = [trial.scores["latency_ms"] for trial in finished[:10]]
        whole["latency_ms"] = [max(first), min(first)]
    for at, value in zip(found.trials, found.values, strict=True):
        assert value == pytest.approx(hypervolume(finished[:at], archive.objectives, frame=whole), abs=1e-6)
    assert found.trials[-1] == len(finished)
    assert found.values[-1] == pytest.approx(archive.hypervolume(), abs=1e-6)


def test_the_front_changes_only_where_the_history_says() -> None:
    archive = synthetic(80)
    found = history(archive.trials, archive.objectives, frame=archive.frame)
    finished = [trial for trial in archive.trials if trial.state == "finished"]
    steps = dict(zip(found.trials, found.values, strict=True))
    value = None
    for at in range(1, len(finished) + 1):
        value = steps.get(at, value)
        assert hypervolume(finished[:at], archive.objectives, frame=archive.frame | _params(finished)) == pytest.approx(
            value, abs=1e-6
        )


def _params(finished: list[Trial]) -> dict[str, list[float]]:
    first = [trial.scores["params"] for trial in finished[:10]]
    return {"params": [max(first), min(first)]}


def test_hours_count_failed_trials_too() -> None:
    archive = synthetic(40, failed=0.4)
    found = history(archive.trials, archive.objectives, frame=archive.frame)
    assert found.hours[-1] == pytest.approx(sum(map(seconds_of, archive.trials)) / 3600, abs=1e-5)
    assert sorted(found.hours) == list(found.hours)


def test_long_histories_are_thinned_and_keep_their_end() -> None:
    archive = synthetic(900, objectives="accuracy,macs,params,latency_ms", failed=0)
    found = history(archive.trials, archive.objectives, frame=archive.frame)
    assert len(found.trials) <= 2 * MOST_POINTS
    assert found.values[-1] == pytest.approx(archive.hypervolume(), abs=1e-6)


def test_nothing_finished_has_no_history() -> None:
    archive = Synthetic([t for t in synthetic(30, failed=0.5).trials if t.state == "failed"], synthetic(1).objectives)
    assert history(archive.trials, archive.objectives, frame={}).values == ()


def test_odd_seconds_are_none() -> None:
    trial = synthetic(1, failed=0).trials[0]
    for seconds in ("long", None, {"total": "x"}, []):
        assert seconds_of(Trial(**{**vars(trial), "details": {"seconds": seconds}})) == 0.0
