"""Timing in turns: what the figures mean, on passes whose length is known; and every runtime."""

from __future__ import annotations

import time

import pytest
import torch

from evaluators.latency import Latency, _Burst, _summary, measure_in_turns, measure_latency, prepared
from evaluators.runtimes import RUNTIMES
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.network import build

CPU = torch.device("cpu")


def spin(milliseconds: float) -> None:
    stop = time.perf_counter() + milliseconds / 1e3
    while time.perf_counter() < stop:
        pass


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(Architecture(1, 8, 4, Stem(4), (Stage.of("pix", depth=1, width=8, stride=1),)))


def test_passes_of_known_length_are_told_apart() -> None:
    one, three = measure_in_turns([lambda: spin(0.4), lambda: spin(1.2)], turns=6, burst_seconds=0.01)
    assert one.median_ms == pytest.approx(0.4, rel=0.2) and three.median_ms / one.median_ms == pytest.approx(3, rel=0.2)
    assert one.lower_ms <= one.median_ms <= one.upper_ms and one.repeats >= 18 and 0 <= one.disturbed < 1


def test_warm_up_is_not_measured() -> None:
    calls = iter([20.0] * 3 + [0.2] * 100_000)
    (latency,) = measure_in_turns([lambda: spin(next(calls))], turns=4, burst_seconds=0.005)
    assert latency.median_ms < 1


def test_every_turn_returns_to_every_pass() -> None:
    order: list[str] = []
    measure_in_turns([lambda: order.append("a"), lambda: order.append("b")], turns=3, burst_seconds=0.0, least=2)
    # Before come the passes that warm up, after them turns that make up for disturbed ones.
    assert "aaabbb" * 3 in "".join(order)


def test_the_summary_by_hand() -> None:
    bursts = [_Burst(milliseconds / 1e3, 4) for milliseconds in (1.00, 1.05, 1.02, 1.6, 1.04, 1.5)]
    latency = _summary(bursts)
    assert latency.median_ms == pytest.approx(1.03) and latency.repeats == 24
    assert latency.disturbed == pytest.approx(2 / 6)
    assert latency.even_ms == pytest.approx(1.02) and latency.odd_ms == pytest.approx(1.05)
    assert latency.repeat_error == pytest.approx(0.03 / 1.03)
    assert latency.lower_ms < 1.03 < latency.upper_ms


def test_a_machine_that_is_slow_for_most_of_the_time_gives_the_same_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = 0.0, 0

    def work(milliseconds: float) -> None:
        nonlocal now, calls
        calls += 1
        slow = 1.5 if now % 1.0 < 0.6 else 1.0
        hiccup = 3.0 if calls % 7 == 0 else 1.0
        now += milliseconds / 1e3 * slow * hiccup

    monkeypatch.setattr("evaluators.latency.time.perf_counter", lambda: now)
    runs = [lambda ms=ms: work(ms) for ms in (1.0, 1.1, 2.0)]  # type: ignore[misc]
    found = measure_in_turns(runs, turns=8, burst_seconds=0.02)
    assert [latency.median_ms for latency in found] == pytest.approx([1.0, 1.1, 2.0], rel=1e-6)
    assert all(latency.repeat_error < 1e-6 and 0.2 < latency.disturbed < 0.8 for latency in found)


def test_what_is_disturbed_is_returned_to_twice_as_often_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now, steady, disturbed = 0.0, 0, 0

    def steadily() -> None:
        nonlocal now, steady
        now, steady = now + 1e-3, steady + 1

    def ever_slower() -> None:
        nonlocal now, disturbed
        now, disturbed = now + 1e-3 * 1.2**disturbed, disturbed + 1

    monkeypatch.setattr("evaluators.latency.time.perf_counter", lambda: now)
    measure_in_turns([steadily, ever_slower], turns=4, burst_seconds=0.0, least=2)
    assert (steady, disturbed) == (10 + 4 * 3, 10 + 8 * 3)


def test_a_single_network(monkeypatch: pytest.MonkeyPatch) -> None:
    latency = measure_latency(small(), (1, 1, 8, 8), device=CPU, seconds=0.05)
    assert isinstance(latency, Latency) and 0 < latency.median_ms < 100 and latency.repeats >= 10


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "torch.compile"])
def test_every_runtime_runs(runtime: str) -> None:
    run = prepared(small(), (2, 1, 8, 8), device=CPU, runtime=runtime)
    run()
    (latency,) = measure_in_turns([run], turns=4, burst_seconds=0.002)
    assert latency.median_ms > 0


@pytest.mark.slow
def test_compiled() -> None:
    run = prepared(small(), (1, 1, 8, 8), device=CPU, runtime="torch.compile")
    run()
    assert measure_in_turns([run], turns=4, burst_seconds=0.002)[0].median_ms > 0


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of torch, torch.compile, onnxruntime, got 'tvm'"):
        prepared(small(), (1, 1, 8, 8), device=CPU, runtime="tvm")
