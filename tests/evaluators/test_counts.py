"""Counts by parts against one pass over the whole network with PyTorch's own counter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluators.counts import count, macs_by_stage
from search_spaces.catalogue import SPACES
from search_spaces.network import build


@pytest.mark.parametrize("shape", [(1, 32, 10), (3, 20, 7), (3, 128, 100)], ids=str)
@pytest.mark.parametrize("name", SPACES)
def test_every_space_counts_as_the_whole_network_does(name: str, shape: tuple[int, int, int]) -> None:
    channels, resolution, classes = shape
    space = SPACES[name](channels=channels, resolution=resolution, classes=classes)
    generator = np.random.default_rng(3)
    for _ in range(3):
        architecture = space.decode(space.sample(generator))
        with torch.device("meta"):
            network = build(architecture).eval()
            images = torch.empty(1, channels, architecture.resolution, architecture.resolution)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        counted = count(architecture)
        assert counted["macs"] == counter.get_total_flops() // 2
        assert counted["params"] == sum(p.numel() for p in network.parameters())
        assert sum(macs_by_stage(architecture)) == counted["macs"]
        assert len(macs_by_stage(architecture)) == len(architecture.stages) + 2
