"""Times several functions in turns, so that a noisy machine is noisy for all of them; it knows no operator."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def medians(functions: Mapping[str, Callable[[], object]], *, turns: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each function, see `samples`."""
    return {name: statistics.median(values) for name, values in samples(functions, turns=turns, device=device).items()}


def samples(
    functions: Mapping[str, Callable[[], object]], *, turns: int, device: torch.device, again: bool = True
) -> dict[str, list[float]]:
    """Milliseconds of each function in each of interleaved turns; each is called once before, and `again` in every turn, to bring
    back code and data.

    With one thread on a CPU it is the thread's own time, which a busy machine does not lengthen by waiting; else the clock's.
    """
    for function in functions.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            if again:
                function()
            times[name].append(_seconds(function, device) * 1e3)
    return times


def _seconds(function: Callable[[], object], device: torch.device) -> float:
    clock = time.thread_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    _wait(device)
    start = clock()
    function()
    _wait(device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
