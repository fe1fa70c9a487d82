"""What a training tells after an epoch, and all that it needs to go on from there, as named tensors; it knows no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Epoch:
    """The end of epoch `number` of `epochs`, counted from 1. `loss` is its mean training loss.

    `accuracy()` measures the weights that would be kept now on the validation part; `state()` gives the tensors from which
    `train(…, start=state)` goes on as if it had never stopped.
    """

    number: int
    epochs: int
    loss: float
    learning_rate: float
    accuracy: Callable[[], float]
    state: Callable[[], dict[str, Tensor]]


def state_of(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    average: Sequence[Tensor],
    epoch: int,
) -> dict[str, Tensor]:
    """Copies on the CPU of weights, statistics, their averages, momenta and both random generators after `epoch` epochs."""
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"average.{i}": tensor for i, tensor in enumerate(average)}
    for i, parameter in enumerate(_parameters(optimiser)):
        momentum = optimiser.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            state[f"momentum.{i}"] = momentum
    state |= {"generator": generator.get_state(), "torch": torch.get_rng_state(), "epoch": torch.tensor(epoch)}
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


@torch.no_grad()
def restore(
    state: Mapping[str, Tensor],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    average: Sequence[Tensor],
) -> int:
    """Puts a state back; the number of epochs that it had done.

    Raises:
        KeyError: the state lacks a part.
        RuntimeError: it is of another network.
    """
    weights = {name: tensor for name, tensor in state.items() if name.startswith("network.")}
    network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in weights.items()})
    for i, tensor in enumerate(average):
        tensor.copy_(state[f"average.{i}"])
    for i, parameter in enumerate(_parameters(optimiser)):
        if f"momentum.{i}" in state:
            optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(state[f"momentum.{i}"])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    return int(state["epoch"])


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
