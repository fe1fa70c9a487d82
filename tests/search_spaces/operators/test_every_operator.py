"""Properties that hold of every operator: types, layouts, modes, compiled, exported, in ONNX; a new one is tested by being listed."""

import copy
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces.operators.channel_shuffle import ChannelShuffle
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, StaticDynamicShuffle
from search_spaces.operators.gates import CBAM, SqueezeExcite
from search_spaces.operators.muxconv import ChannelMultiplexBlock, InvertedResidual, SpatialMultiplex
from search_spaces.operators.pix import PiX
from search_spaces.operators.pointwise import Pointwise

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

CHANNELS = 24

CASES: dict[str, Callable[[], nn.Module]] = {
    "pix": lambda: PiX(CHANNELS, zeta=4),
    "pix_ragged": lambda: PiX(CHANNELS, zeta=5, tau=0.4),
    "pix_gate": lambda: PiX(CHANNELS, zeta=1),
    "pix_one_subset": lambda: PiX(CHANNELS, zeta=CHANNELS),
    "dynamic_shuffle": lambda: DynamicShuffle(CHANNELS, groups=2),
    "dynamic_shuffle_per_group": lambda: DynamicShuffle(CHANNELS, groups=3, per_group=True),
    "static_dynamic_shuffle": lambda: StaticDynamicShuffle(CHANNELS, CHANNELS, groups=2),
    "static_dynamic_widening": lambda: StaticDynamicShuffle(CHANNELS, 2 * CHANNELS, groups=2, per_group=True),
    "static_dynamic_narrowing": lambda: StaticDynamicShuffle(CHANNELS, CHANNELS // 2),
    "spatial_multiplex": lambda: SpatialMultiplex(CHANNELS, kernels=(3, 5, 3), scales=(-1, 0, 1)),
    "spatial_multiplex_stride": lambda: SpatialMultiplex(CHANNELS, kernels=(3, 3, 5), scales=(-1, 0, 1), stride=2),
    "mixed_kernels": lambda: SpatialMultiplex(CHANNELS, kernels=(3, 5, 7, 9, 11), scales=(0,) * 5),
    "channel_multiplex": lambda: ChannelMultiplexBlock(CHANNELS, expansion=4, squeeze=0.5, activation="swish"),
    "channel_multiplex_spatial": lambda: ChannelMultiplexBlock(
        CHANNELS, kernels=(3,), scales=(-1, 1), expansion=3, group_width=1
    ),
    "inverted_residual": lambda: InvertedResidual(CHANNELS, 16, kernels=(3, 5), stride=2, squeeze=0.25),
    "channel_shuffle": lambda: ChannelShuffle(4),
    "pointwise": lambda: Pointwise(CHANNELS, 16),
    "grouped_pointwise": lambda: Pointwise(CHANNELS, 16, groups=4),
    "squeeze_excite": lambda: SqueezeExcite(CHANNELS, 6, activation="swish"),
    "cbam": lambda: CBAM(CHANNELS, 6),
}


@pytest.fixture(params=CASES)
def operator(request) -> nn.Module:
    return made(request.param)


def made(name: str) -> nn.Module:
    """An operator in evaluation whose data-dependent parts depend on the data indeed."""
    torch.manual_seed(0)
    module = CASES[name]()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                part.weight.mul_(20)
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(std=0.1)
                part.running_var.uniform_(0.5, 2)
    return module.eval()


def images(batch: int = 2, *, seed: int = 0, side: int = 8) -> Tensor:
    """Feature maps whose channel means differ enough that another seed takes other branches."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, CHANNELS, side, side, generator=generator)
    return x + torch.randn(batch, CHANNELS, 1, 1, generator=generator)


def test_layouts_agree_and_stay(operator):
    x = images()
    last = operator.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, operator(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_bfloat16(operator, train):
    operator.to(torch.bfloat16).train(train)
    x = images().bfloat16().requires_grad_()
    y = operator(x)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert operator.float()(images()).isfinite().all()


def test_images_do_not_see_each_other(operator):
    x = images(3)
    alone = torch.cat([operator(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(operator(x), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", [1, 5, 7])
def test_odd_sides(operator, side):
    y = operator(images(side=side))
    assert y.shape[2] in {side, -(-side // 2)} and y.isfinite().all()


def test_copies_and_pickles_after_training(operator):
    operator.train()(images().requires_grad_()).sum().backward()
    again = pickle.loads(pickle.dumps(copy.deepcopy(operator))).eval()
    torch.testing.assert_close(again(images()), operator.eval()(images()))


@pytest.mark.parametrize("train", [False, True])
def test_no_graph_break(operator, train):
    torch.compiler.reset()
    operator.train(train)
    compiled = torch.compile(operator, fullgraph=True, backend="aot_eager")
    for seed in (0, 1):
        torch.testing.assert_close(compiled(images(seed=seed)), operator(images(seed=seed)), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_inductor(name):
    torch.compiler.reset()
    operator = made(name)
    compiled = torch.compile(operator, fullgraph=True)
    for seed in (0, 1):
        torch.testing.assert_close(compiled(images(seed=seed)), operator(images(seed=seed)), rtol=1e-4, atol=1e-4)


def test_torch_export(operator):
    exported = torch.export.export(operator, (images(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for batch, seed in ((1, 1), (5, 2)):
        x = images(batch, seed=seed)
        torch.testing.assert_close(exported.module()(x), operator(x), rtol=1e-5, atol=1e-5)


def test_onnx(operator, tmp_path):
    import onnxruntime

    path = tmp_path / "operator.onnx"
    torch.onnx.export(
        operator,
        (images(),),
        path,
        dynamo=True,
        opset_version=18,
        input_names=["x"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, seed in ((2, 0), (1, 1), (5, 2)):
        x = images(batch, seed=seed)
        got = session.run(None, {"x": x.numpy()})[0]
        np.testing.assert_allclose(got, operator(x).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_gpu(operator):
    x = images()
    for layout in (torch.contiguous_format, torch.channels_last):
        on_gpu = copy.deepcopy(operator).cuda().to(memory_format=layout)
        got = on_gpu(x.cuda().contiguous(memory_format=layout))
        torch.testing.assert_close(got.cpu(), operator(x), rtol=1e-4, atol=1e-4)
