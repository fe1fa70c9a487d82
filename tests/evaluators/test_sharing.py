"""How many trainings fit on a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from evaluators import sharing
from evaluators.counts import count
from evaluators.sharing import trials_that_fit
from nas.config import SearchConfig
from nas.plan import _trials_per_device
from search_spaces.catalogue import SPACES


@pytest.mark.parametrize(
    ("total", "peak", "cores", "gpus", "fits"),
    [
        (24_000, 2_000, 16, 1, 6),
        (24_000, 2_000, 4, 1, 4),
        (24_000, 2_000, 4, 2, 2),
        (8_000, 30_000, 16, 1, 1),
        (140_000, 100, 64, 1, 16),
    ],
)
def test_memory_cores_and_a_bound(total: float, peak: float, cores: int, gpus: int, fits: int) -> None:
    assert trials_that_fit(total_mb=total, peak_mb=peak, cores=cores, gpus=gpus) == fits


def test_amounts_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="amounts must be above zero"):
        trials_that_fit(total_mb=0, peak_mb=1, cores=1)


def test_auto_is_what_the_peak_of_the_dearest_networks_leaves_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    space, tried = SPACES["pix"](channels=1, resolution=32, classes=10), list[Any]()

    def peak(architectures: list[Any], recipe: Any, data: Any, *, device: str) -> float:
        assert device == "cuda" and recipe["name"] == "proxy" and data == "the data"
        tried.extend(architectures)
        return 2000.0

    monkeypatch.setattr(sharing, "peak_memory_mb", peak)
    monkeypatch.setattr("nas.plan.cores", lambda: 64)
    gpu = SimpleNamespace(total_memory=24_000 * 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    config = SearchConfig(trials_per_device="auto")
    assert _trials_per_device(config, space, "the data", gpus=1) == trials_that_fit(
        total_mb=24_000, peak_mb=2000, cores=64
    )
    generator = np.random.default_rng(1)
    usual = np.median([count(space.decode(space.sample(generator)))["macs"] for _ in range(9)])
    assert all(count(architecture)["macs"] > usual for architecture in tried)
    assert _trials_per_device(SearchConfig(trials_per_device="3"), space, "the data", gpus=1) == 3 and len(tried) == 2
