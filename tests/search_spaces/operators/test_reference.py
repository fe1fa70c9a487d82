"""Parity of the operators with arrays made by the published implementations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.operators.muxconv import ChannelMultiplexBlock, SpatialMultiplex, channel_to_space, space_to_channel
from search_spaces.operators.pix import pick_or_mix

FOLDER = Path(__file__).parents[1] / "reference"
CLOSE = {torch.float32: {"rtol": 1e-5, "atol": 1e-6}, torch.float64: {"rtol": 1e-10, "atol": 1e-12}}


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


def assert_close(got: torch.Tensor, wanted: np.ndarray) -> None:
    torch.testing.assert_close(got.detach(), torch.from_numpy(wanted), **CLOSE[got.dtype])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["pix_a", "pix_b", "pix_c", "pix_d"])
def test_pick_or_mix(name, channels_last):
    data = arrays(name)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.from_numpy(data["x"]).contiguous(memory_format=layout).requires_grad_()
    p = torch.from_numpy(data["p"]).requires_grad_()
    y = pick_or_mix(x, p, zeta=int(data["zeta"]), tau=float(data["tau"]))
    y.backward(torch.from_numpy(data["grad_y"]))
    assert_close(y, data["y"])
    assert_close(x.grad, data["grad_x"])
    assert_close(p.grad, data["grad_p"])


def test_space_to_channel_order():
    data = arrays("space_channel")
    x = torch.from_numpy(data["x"])
    assert_close(space_to_channel(x), data["space_to_channel"])
    assert_close(channel_to_space(x), data["channel_to_space"])
    assert torch.equal(channel_to_space(space_to_channel(x)), x)


@pytest.mark.parametrize("name", ["spatial_mux_a", "spatial_mux_b", "spatial_mux_c"])
def test_spatial_multiplex(name):
    data = arrays(name)
    kernels, scales = tuple(data["kernel_sizes"].tolist()), tuple(data["scales"].tolist())
    layer = SpatialMultiplex(data["x"].shape[1], kernels=kernels, scales=scales)
    assert layer.sizes == data["split_sizes"].tolist()
    for i, part in enumerate(layer.parts):
        part.weight.data = torch.from_numpy(data[f"weight_{i}"])
    x = torch.from_numpy(data["x"]).requires_grad_()
    y = layer(x)
    y.backward(torch.from_numpy(data["grad_y"]))
    assert_close(y, data["y"])
    assert_close(x.grad, data["grad_x"])


@pytest.mark.parametrize("name", ["mux_block_a", "mux_block_b", "mux_block_c"])
def test_channel_multiplex_block(name):
    data = arrays(name)
    block = ChannelMultiplexBlock(
        int(data["config_in_chs"]),
        ratio=float(data["config_split_ratio"]),
        shuffle_groups=int(data["config_shuffle_groups"]),
        kernels=(int(data["config_dw_kernel_size"]),),
        expansion=float(data["config_exp_ratio"]),
        squeeze=float(data["config_se_ratio"]),
        activation=str(data["config_activation"]),
        group_width=int(data["config_dw_group_factor"]),
    ).eval()
    inner = block.inner
    for layer, prefix in ((inner.expand, "expand"), (inner.depthwise, "depthwise"), (inner.project, "project")):
        load(layer[0], {"weight": data[f"{prefix}_weight"]})
        names = ("weight", "bias", "running_mean", "running_var")
        load(layer[1], {name: data[f"{prefix}_bn_{name}"] for name in names})
    if data["config_se_ratio"]:
        for layer, prefix in ((inner.gate.reduce, "se_reduce"), (inner.gate.expand, "se_expand")):
            load(layer, {name: data[f"{prefix}_{name}"] for name in ("weight", "bias")})
    assert_close(block(torch.from_numpy(data["x"])), data["y"])


def load(layer: nn.Module, weights: dict[str, np.ndarray]) -> None:
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    layer.load_state_dict({**layer.state_dict(), **state})
