"""How long one forward pass takes on this device: warmed up, repeated in turns, with its interval; it knows no training.

Several networks are timed in turns. Other work only ever adds to a pass, so a turn is worth its fastest pass; and shared machines run
slower by half for seconds on end, which no pass of that time escapes, so turns more than 8 % slower than the fastest one are left out,
and networks that have few others are returned to more often.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from evaluators.runtimes import RUNTIMES

BURST_SECONDS = 0.03
WARM_WINDOW = 5
STABLE = 0.05
UNDISTURBED = 1.08


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one undisturbed forward pass: the median over turns, its 95 % interval, over `repeats` timed passes.

    `repeat_error` is the relative difference between what the even and what the odd turns say, `even_ms` and `odd_ms`: what a second
    measurement would differ by. `disturbed` is the share of turns left out: above a half, the machine is too busy to trust this.
    """

    median_ms: float
    lower_ms: float
    upper_ms: float
    repeats: int
    repeat_error: float = 0.0
    disturbed: float = 0.0
    even_ms: float = 0.0
    odd_ms: float = 0.0


def measure_latency(
    network: nn.Module,
    shape: tuple[int, int, int, int],
    *,
    device: torch.device,
    runtime: str = "torch",
    seconds: float = 0.5,
    least: int = 20,
) -> Latency:
    """Times a network in eval mode on random input of `shape` (N, C, H, W).

    Warms up until the time of a pass no longer falls, then repeats for `seconds`, at least `least` times. Give the device to this
    call alone: beside other work the figures mean nothing.

    Raises:
        ValueError: no runtime of that name, or one that does not run on the device.
    """
    run = prepared(network, shape, device=device, runtime=runtime)
    turns = max(4, round(seconds / BURST_SECONDS / 2) * 2)
    (latency,) = measure_in_turns([run], turns=turns, burst_seconds=seconds / turns, least=math.ceil(least / turns))
    return latency


def prepared(
    network: nn.Module, shape: tuple[int, int, int, int], *, device: torch.device, runtime: str
) -> Callable[[], None]:
    """One forward pass of a network, made ready for a runtime; the call returns when the device has done it.

    Raises:
        ValueError: no runtime of that name, or one that does not run on the device.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"the runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    return RUNTIMES[runtime](network.eval().to(device), x)


def measure_in_turns(
    runs: Sequence[Callable[[], None]], *, turns: int = 6, burst_seconds: float = BURST_SECONDS, least: int = 3
) -> list[Latency]:
    """Times each of several passes, one burst of each in every turn: a latency for each, in order.

    Each is warmed up first, until two windows of five passes agree within 5 %, for at most half a second. Those with fewer than half
    of `turns` undisturbed are returned to, `turns` times more at most.
    """
    for run in runs:
        _warm_up(run)
    bursts: list[list[_Burst]] = [[] for _ in runs]
    for turn in range(2 * turns):
        for run, mine in zip(runs, bursts, strict=True):
            if turn < turns or len(_undisturbed(mine)) < turns / 2:
                run()  # brings code and data back into the caches
                mine.append(_burst(run, burst_seconds, least))
    return [_summary(mine) for mine in bursts]


@dataclass(frozen=True)
class _Burst:
    """Seconds of the fastest pass, and how many passes there were."""

    fastest: float
    passes: int


def _warm_up(run: Callable[[], None], *, seconds: float = 0.5) -> None:
    window: list[float] = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        window.append(_timed(run))
        if len(window) >= 2 * WARM_WINDOW:
            early = statistics.median(window[-2 * WARM_WINDOW : -WARM_WINDOW])
            late = statistics.median(window[-WARM_WINDOW:])
            if early <= late * (1 + STABLE):
                return


def _burst(run: Callable[[], None], seconds: float, least: int) -> _Burst:
    taken: list[float] = []
    stop = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < stop:
        taken.append(_timed(run))
    return _Burst(min(taken), len(taken))


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _undisturbed(bursts: Sequence[_Burst]) -> list[float]:
    """Seconds of the turns that count, in order."""
    bound = UNDISTURBED * min(burst.fastest for burst in bursts)
    return [burst.fastest for burst in bursts if burst.fastest <= bound]


def _summary(bursts: Sequence[_Burst]) -> Latency:
    """The median of the undisturbed turns, and its interval."""
    kept = _undisturbed(bursts)
    median = statistics.median(kept)
    # The median of k turns has a standard error of about 1.2533 σ/√k, σ taken from their middle half so that one odd turn is one.
    lower, _, upper = statistics.quantiles(kept, n=4) if len(kept) > 1 else (median, median, median)
    half = 1.96 * 1.2533 * (upper - lower) / 1.349 / math.sqrt(len(kept))
    even, odd = (statistics.median(_undisturbed(part)) for part in (bursts[::2], bursts[1::2] or bursts))
    return Latency(
        median_ms=median * 1e3,
        lower_ms=max(0.0, median - half) * 1e3,
        upper_ms=(median + half) * 1e3,
        repeats=sum(burst.passes for burst in bursts),
        repeat_error=abs(even - odd) / median,
        even_ms=even * 1e3,
        odd_ms=odd * 1e3,
        disturbed=1 - len(kept) / len(bursts),
    )
