"""The driver is killed at random moments: nothing finished is lost or evaluated twice, and the budget is exact."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from nas.run import weights_name
from tests.faults.harness import Search, kill_often


def search(
    run: Path,
    *,
    backend: str,
    algorithm: str = "nsga2",
    budget: int = 60,
    die: bool = False,
    epochs: tuple[int, ...] = (9,),
) -> Search:
    faults = {"raise": 0.05, "diverge": 0.1, **({"die": 0.15} if die else {})}
    config = {"budget": budget, "backend": backend, "algorithm": algorithm, "epochs": epochs}
    stub = {"seconds": 0.005, "weights": True, "faults": faults}
    return Search(run, config, stub, workers=1 if backend == "in_process" else 2)


def show(ledger: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nledger:", ", ".join(f"{count} {name}" for name, count in ledger.items()))


@pytest.mark.parametrize(("kills", "algorithm"), [(4, "random"), pytest.param(40, "nsga2", marks=pytest.mark.slow)])
def test_kills_in_process(tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int, algorithm: str) -> None:
    budget = 40 if kills < 10 else 400
    whole = search(tmp_path / "whole", backend="in_process", algorithm=algorithm, budget=budget)
    whole.finish()
    broken = search(tmp_path / "broken", backend="in_process", algorithm=algorithm, budget=budget)
    ledger = kill_often(broken, kills=kills, seed=kills, spread=0.3, most=15)
    show(ledger, capsys)
    assert broken.trials() == whole.trials()
    assert ledger["killed while working"] == kills
    assert not broken.left_over()


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_between_rungs(tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int) -> None:
    whole, broken = (
        search(tmp_path / name, backend="in_process", budget=10 * kills, epochs=(1, 3, 9))
        for name in ("whole", "broken")
    )
    whole.finish()
    ledger = kill_often(broken, kills=kills, seed=kills, spread=0.3, most=15)
    show(ledger, capsys)
    trials = broken.trials()
    assert trials == whole.trials()
    assert {"finished", "pruned"} <= {trial.state for trial in trials}
    assert ledger["killed while working"] == kills
    weights = {file.name for file in (broken.run / "weights").iterdir()}
    assert weights == {weights_name(t.key, t.replicate) for t in trials if t.state == "finished"}


@pytest.mark.parametrize("kills", [1, pytest.param(15, marks=pytest.mark.slow)])
def test_kills_on_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int) -> None:
    broken = search(tmp_path / "broken", backend="ray", budget=20 * kills + 20, die=kills > 1)
    ledger = kill_often(broken, kills=kills, seed=kills, spread=7.0, most=20)
    show(ledger, capsys)
    assert ledger["killed while working"] == kills
    end = time.monotonic() + 30
    while broken.left_over() and time.monotonic() < end:
        time.sleep(0.2)
    assert not broken.left_over(), "processes outlive their driver"
