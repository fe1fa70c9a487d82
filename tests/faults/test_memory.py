"""The host lacks memory: what Ray's memory monitor kills becomes a failed trial, tried once more alone, and the search goes on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.harness import Search

LEFT = 3 << 30


@pytest.mark.slow
def test_a_worker_that_the_memory_monitor_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is told that all but 3 GB of what is in use now is too much; some trials take 6."""
    memory = {line.split(":")[0]: int(line.split()[1]) << 10 for line in Path("/proc/meminfo").read_text().splitlines()}
    if memory["MemAvailable"] < 3 * LEFT:
        pytest.skip("the machine has too little memory to play with")
    threshold = 1 - (memory["MemAvailable"] - LEFT) / memory["MemTotal"]
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{threshold:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "50")
    config = {"budget": 10, "backend": "ray", "algorithm": "random"}
    search = Search(tmp_path / "run", config, {"seconds": 0.05, "faults": {"eat": 0.2}}, workers=2)
    search.finish()
    trials = search.trials()
    failed = [trial for trial in trials if trial.state == "failed"]
    assert sum(trial.state == "finished" for trial in trials) == 10 and failed
    assert {trial.failure for trial in failed} == {"out_of_memory"}, [trial.message for trial in failed]
    begun = Counter(int(line.split()[0]) for line in search.lines())
    assert {begun[trial.number] for trial in failed} == {2}, f"each was tried once more: {begun}"
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert {event["trial"] for event in events if event["event"] == "retried"} == {trial.number for trial in failed}
