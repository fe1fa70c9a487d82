"""Ctrl-C: once ends the search within five seconds with its state saved, twice at once; also on Ray, and to the whole process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.harness import ROOT, Search


def begun(run: Path, *, backend: str, seconds: float, evaluations: int) -> tuple[Search, subprocess.Popen[str]]:
    """A search that has begun so many evaluations of so many seconds."""
    config = {"budget": 500, "backend": backend, "algorithm": "random"}
    search = Search(run, config, {"seconds": seconds}, workers=1 if backend == "in_process" else 2)
    process = search.begin()
    while len(search.lines()) < evaluations:
        assert process.poll() is None
        time.sleep(0.01)
    return search, process


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("backend", "seconds"),
    [("in_process", 0.05), ("in_process", 60.0), pytest.param("ray", 0.05, marks=SLOW), ("ray", 60.0)],
)
def test_once_ends_it_within_five_seconds(tmp_path: Path, backend: str, seconds: float) -> None:
    search, process = begun(
        tmp_path / "run", backend=backend, seconds=seconds, evaluations=2 if backend == "ray" else 1
    )
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the driver and all that it started
    output, _ = process.communicate(timeout=60)
    took = time.monotonic() - start
    assert process.returncode == 130 and "interrupted" in output and "Traceback" not in output, output
    assert took < 5
    states = [trial.state for trial in search.trials()]
    assert states.count("running") == (0 if seconds < 1 else 1 if backend == "in_process" else 2)
    search.config["budget"], search.stub["seconds"] = states.count("finished") + 2, 0.0
    search.finish()
    assert [trial.state for trial in search.trials()] == ["finished"] * search.config["budget"]


@pytest.mark.parametrize("backend", ["in_process", pytest.param("ray", marks=SLOW)])
def test_twice_ends_it_at_once(tmp_path: Path, backend: str) -> None:
    search, process = begun(tmp_path / "run", backend=backend, seconds=60, evaluations=1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 130 and "stopping" in output
    assert time.monotonic() - start < 1
    end = time.monotonic() + 60
    while search.left_over("ray::_Worker") and time.monotonic() < end:
        time.sleep(0.1)
    assert not search.left_over("ray::_Worker")  # Ray's own agents take up to two minutes to notice


def test_the_command_line_is_killed_and_taken_up(tmp_path: Path) -> None:
    """`nas.search` over a table, killed twice; then it goes on to the end of the table as `--resume` says."""
    table, run = tmp_path / "t.csv", tmp_path / "run"
    rows = [f"{i},{j},{0.1 + i / 100 + j / 300},{i * j + 1}" for i in range(40) for j in range(10)]
    table.write_text("x_0,x_1,accuracy,macs\n" + "\n".join(rows) + "\n")
    common = [sys.executable, "-m", "nas.search"]
    begin = ["--space", f"table:{table}", "--budget", "400", "--backend", "in_process", "--algorithm", "random"]
    for arguments in ([*begin, "--out", str(run)], ["--resume", str(run)]):
        process = subprocess.Popen(
            [*common, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        journal = run / "study.journal"
        before = journal.stat().st_size if journal.exists() else 0
        while not journal.exists() or journal.stat().st_size < before + 5000:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
    done = subprocess.run([*common, "--resume", str(run)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "400 finished, 0 failed" in done.stdout, done.stderr
    doctor = [sys.executable, "-m", "nas.doctor", str(run)]
    assert subprocess.run(doctor, cwd=ROOT, capture_output=True, check=False).returncode == 0
