"""The estimate of a search's cost: its arithmetic, its words, and that nothing is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nas import cost, search
from nas.config import SearchConfig
from nas.plan import prepare


def test_trials_that_cost_by_their_macs_are_estimated_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluators.counts import count

    monkeypatch.setattr(cost, "_trial_seconds", lambda plan, architecture: 2 + count(architecture)["macs"] / 1e6)
    config = SearchConfig(space="pix", budget=30, workers=3)
    plan = prepare(config)
    found = cost.estimate(plan, config)
    for macs, seconds in found.measured:
        assert seconds == pytest.approx(2 + macs / 1e6)
    assert found.low < found.trial_seconds and found.low < found.high
    assert found.hours(found.trial_seconds, budget=30, workers=3) == pytest.approx(10 * found.trial_seconds / 3600)
    slower = cost.estimate(prepare(SearchConfig(objectives=("accuracy", "latency_ms"))), config)
    assert slower.trial_seconds > found.trial_seconds


def test_a_dry_run_says_plan_size_and_cost_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search.main(["--space", "pix", "--epochs", "1,2", "--limit", "macs<=600k", "--dry-run"]) == 0
    out = capsys.readouterr().out
    for words in (
        "2.97e+12 architectures",
        "macs<=600k",
        "rungs at 1",
        "small",
        "large",
        "core-hours",
        "nothing was written",
    ):
        assert words in out
    assert os.listdir(tmp_path) == []


BAD: dict[str, tuple[list[str], str]] = {
    "with --resume": (["--resume", "x"], "leave out --out"),
    "missing data is not fetched": (["--dataset", "cifar10", "--download", "--data-dir", "/nonexistent"], "is not in"),
    "nothing allowed": (["--limit", "macs<=1"], "fewer than two"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_dry_runs_are_one_sentence(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: list[Any]
    arguments, expected = BAD[case]
    assert search.main(["--dry-run", *arguments]) == 2
    assert expected in capsys.readouterr().err
