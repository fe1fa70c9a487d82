"""How long one forward pass takes on this device: warmed up, repeated, with its spread; it knows no training."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass: the median, and the quartiles as its spread, over `repeats` timed passes."""

    median_ms: float
    lower_ms: float
    upper_ms: float
    repeats: int


@torch.inference_mode()
def measure_latency(
    network: nn.Module, shape: tuple[int, int, int, int], *, device: torch.device, seconds: float = 0.5, least: int = 20
) -> Latency:
    """Times a network in eval mode, channels-last, on random input of `shape` (N, C, H, W).

    Warms up until the time of a pass no longer falls (two halves of a window within 5 %, at most half of `seconds`), then repeats
    for `seconds`, at least `least` times. Give the device to this call alone: beside other work the figures mean nothing.
    """
    network = network.eval().to(device).to(memory_format=torch.channels_last)
    x = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    window: list[float] = []
    stop = time.perf_counter() + seconds / 2
    while time.perf_counter() < stop:
        window.append(_pass(network, x))
        if len(window) >= 10:
            early, late = statistics.median(window[-10:-5]), statistics.median(window[-5:])
            if abs(early - late) <= 0.05 * late:
                break
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < stop:
        times.append(_pass(network, x))
    lower, median, upper = statistics.quantiles(times, n=4)
    return Latency(median * 1e3, lower * 1e3, upper * 1e3, len(times))


def _pass(network: nn.Module, x: torch.Tensor) -> float:
    """Seconds of one forward pass, the device's queue empty before and after."""
    if x.device.type == "cuda":
        torch.cuda.synchronize(x.device)
    start = time.perf_counter()
    network(x)
    if x.device.type == "cuda":
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start
