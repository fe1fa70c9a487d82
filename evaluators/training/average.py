"""The exponential moving average of a network's weights and statistics; it knows no recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps averaged copies of every floating parameter and buffer, and puts them into the network at the end.

    The decay begins small and grows as (1 + n) / (10 + n) to its value, so that the initial weights are forgotten in a short
    training too (as TensorFlow's ExponentialMovingAverage with `num_updates`).
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self._decay = decay
        self._updates = torch.zeros((), dtype=torch.int64)
        self._live = _floating(network)
        self._averaged = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as they are now, after a step."""
        self._updates += 1
        updates = int(self._updates)
        decay = min(self._decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._averaged, [tensor.detach() for tensor in self._live], 1 - decay)

    @property
    def tensors(self) -> list[Tensor]:
        """All that it remembers, to be copied, and to be copied into."""
        return [*self._averaged, self._updates]

    @contextmanager
    @torch.no_grad()
    def lent(self) -> Iterator[None]:
        """The network has the averaged weights for a while, and its own again afterwards."""
        own = [tensor.detach().clone() for tensor in self._live]
        self.put()
        try:
            yield
        finally:
            for live, tensor in zip(self._live, own, strict=True):
                live.copy_(tensor)

    @torch.no_grad()
    def put(self) -> None:
        """The network takes the averaged weights and statistics."""
        for live, averaged in zip(self._live, self._averaged, strict=True):
            live.copy_(averaged)


def _floating(network: nn.Module) -> list[Tensor]:
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
