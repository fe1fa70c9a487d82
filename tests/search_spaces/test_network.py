"""Networks of every space: exported, in ONNX with a batch of any size, with plain weights and one mode for evaluation."""

import os

import numpy as np
import pytest
import torch

from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.catalogue import SPACES
from search_spaces.network import Network, build
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, set_binarised

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

ALL_MIXERS = Architecture(
    channels=1,
    resolution=12,
    classes=4,
    stem=Stem(8),
    stages=(
        Stage.of("pix", depth=2, width=16, stride=1, kernel=3, zeta=4, tau=0.5),
        Stage.of("conv1x1", depth=1, width=16, stride=1, kernel=3, zeta=2, prune=2, gate="cbam"),
        Stage.of("basic", depth=1, width=16, stride=1, kernel=3, zeta=2, gate="se"),
        Stage.of("shuffle", depth=2, width=24, stride=2, kernel=3, groups=2, shuffle="dynamic"),
        Stage.of("shuffle", depth=2, width=24, stride=1, kernel=3, groups=4, shuffle="static_dynamic"),
        Stage.of("shuffle_v2", depth=2, width=24, stride=1, kernel=3, shuffle="fixed"),
        Stage.of("mux", depth=2, width=24, stride=2, kernels=(3, 5), expansion=2, squeeze=0.25, ratio=0.5),
        Stage.of("mux", depth=2, width=24, stride=1, kernels=(3,), scales=(-1, 0, 0, 1), expansion=2),
        Stage.of("inverted_residual", depth=1, width=16, stride=1, kernels=(3,), expansion=2, activation="swish"),
    ),
    head=32,
)


@pytest.fixture(scope="module")
def network() -> Network:
    """One block of each kind, trained for a few steps so that no weight is where it began."""
    torch.manual_seed(0)
    network = build(ALL_MIXERS)
    descent = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(3):
        descent.zero_grad()
        network(torch.randn(8, 1, 12, 12)).square().mean().backward()
        descent.step()
    return network.eval()


def images(batch: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 1, 12, 12, generator=generator)


def test_torch_export(network):
    program = torch.export.export(network, (images(2, 0),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for batch in (1, 5):
        x = images(batch, batch)
        torch.testing.assert_close(program.module()(x), network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_onnx(network, tmp_path):
    import onnxruntime

    path = tmp_path / "network.onnx"
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(
        network,
        (images(2, 0),),
        path,
        dynamo=True,
        opset_version=18,
        input_names=["x"],
        dynamic_shapes=shapes,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        x = images(batch, batch)
        got = session.run(None, {"x": x.numpy()})[0]
        np.testing.assert_allclose(got, network(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_no_graph_break(network):
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images(3, 1)), network(images(3, 1)))


def test_weights_alone_carry_the_network(network):
    """Nothing that evaluation depends on is outside the state dict: not the mode of a shuffle, for one."""
    again = build(ALL_MIXERS)
    set_binarised(again, True)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(images(2, 3)), network(images(2, 3)))
    assert any(isinstance(module, DynamicShuffle) for module in network.modules())


def test_layers_are_registered_in_order_of_execution():
    for name, factory in SPACES.items():
        space = factory(channels=1, resolution=32)
        network = build(space.decode(space.sample(np.random.default_rng(5)))).eval()
        order: list[str] = []
        convolutions = {n: m for n, m in network.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
        for layer, module in convolutions.items():
            module.register_forward_hook(lambda *_, layer=layer, order=order: order.append(layer))
        with torch.no_grad():
            network(torch.randn(1, 1, 32, 32))
        assert list(dict.fromkeys(order)) == list(convolutions), name


def test_one_seed_makes_one_network():
    weights = []
    for _ in range(2):
        torch.manual_seed(7)
        weights.append(torch.cat([p.flatten() for p in build(ALL_MIXERS).parameters()]))
    assert torch.equal(*weights)
