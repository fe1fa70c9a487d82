"""How many trainings fit on one GPU at a time, from the measured peak memory of a first one; it knows no search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

CONTEXT_MB = 700.0  # what a process takes on a GPU before its first tensor, kernels and libraries included
RESERVE = 0.1
MARGIN = 1.25  # the allocator's gaps, and networks larger than those measured
MOST = 16


def trials_that_fit(*, total_mb: float, peak_mb: float, cores: int, gpus: int = 1) -> int:
    """Trainings at a time on each GPU: by its memory, by the processor cores that feed it, and never more than 16; at least one.

    Raises:
        ValueError: an amount is not above zero.
    """
    if min(total_mb, peak_mb, cores, gpus) <= 0:
        raise ValueError(
            f"amounts must be above zero, got {total_mb} MB in all, {peak_mb} MB at peak, {cores} cores, {gpus} GPUs"
        )
    by_memory = int(total_mb * (1 - RESERVE) / (peak_mb * MARGIN + CONTEXT_MB))
    return max(1, min(by_memory, cores // gpus, MOST))


def peak_memory_mb(architectures: Sequence[Any], recipe: Mapping[str, Any], data: Any, *, device: str) -> float:
    """The most device memory that one epoch on a few batches takes, over these architectures, the data set included."""
    import torch

    from evaluators.training.data import Data
    from evaluators.training.recipe import Recipe
    from evaluators.training.train import train
    from search_spaces.network import build

    place = torch.device(device)
    whole = Recipe.from_json(recipe)
    resident: Data = data.to(place)
    few = resident.limited(4 * whole.batch_size, seed=0)
    torch.cuda.reset_peak_memory_stats(place)
    for architecture in architectures:
        network = build(architecture).to(place)
        train(network, few, replace(whole, epochs=1, rungs=()), seed=0, resolution=architecture.resolution)
        # The resized images of all parts lie on the device too, as they will in a worker.
        resident.at(architecture.resolution)
    peak = torch.cuda.max_memory_allocated(place) / 2**20
    del resident, few
    torch.cuda.empty_cache()
    return peak
