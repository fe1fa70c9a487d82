"""The published networks: counts, layers block by block, weights of other implementations."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from nas import published as command
from search_spaces.operators.pix import PiX
from search_spaces.published import NETWORKS, build, deviation, load_in_order

COSTS = json.loads((Path(__file__).parent / "reference" / "muxnet_costs.json").read_text())
EXACT = {
    "muxnet_m": (3_354_276, 216_808_112),
    "muxnet_l": (4_041_178, 316_454_832),
    "pix_resnet50": (25_549_480, 3_155_824_640),
    "pix_resnet101": (44_532_904, 5_999_038_464),
    "pix_resnet152": (60_168_872, 8_841_465_856),
}


def costs(module: torch.nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(torch.empty(shape, device="meta"))
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


def on_meta(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return build(name)


@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_the_published_ones_or_a_note_says_why(name):
    entry, counted = NETWORKS[name], costs(on_meta(name), (1, 3, 224, 224))
    if name in EXACT:
        assert counted == EXACT[name]
    for count, figure in zip(counted, (entry.params, entry.macs), strict=True):
        assert not figure or abs(deviation(count, figure)) < 0.03 or entry.note


@pytest.mark.parametrize("name", ["muxnet_m", "muxnet_l"])
def test_muxnet_block_by_block(name):
    blocks = [block for stage in on_meta(name).stages for block in stage]
    for block, wanted in zip(blocks, COSTS[name]["blocks"], strict=True):
        shape = (1, *wanted["input"])
        assert costs(block, shape) == (wanted["params"], wanted["macs"])
        assert list(block(torch.empty(shape, device="meta")).shape[1:]) == wanted["output"]


def test_pix_resnet_subsets():
    """ζ is 1 in the first block of stage 1, 2 in the first of stages 2–4, 4 elsewhere."""
    network = on_meta("pix_resnet50")
    zetas = [[block.squeeze.zeta for block in stage] for stage in network.stages]
    assert zetas == [[1, 4, 4], [2, 4, 4, 4], [2, 4, 4, 4, 4, 4], [2, 4, 4]]
    assert sum(isinstance(module, PiX) for module in network.modules()) == 16


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("resnet50", "resnet50"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5"),
        ("shufflenet_v2_x1_0", "shufflenet_v2_x1_0"),
    ],
)
def test_torchvision_weights_load_in_order_and_give_the_same_logits(name, other):
    torch.manual_seed(0)
    theirs, ours = getattr(torchvision.models, other)(num_classes=7).eval(), build(name, 7).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    load_in_order(ours, theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_load_in_order_says_where_shapes_differ():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    weights = [tensor.clone() for tensor in model.state_dict().values()]
    weights[2] = torch.zeros(2, 5)
    before = model[0].weight.clone()
    with pytest.raises(ValueError, match=r"1 do not: 1\.weight is \(2, 4\), tensor 2 is \(2, 5\)"):
        load_in_order(model, weights)
    with pytest.raises(ValueError, match="the model has 4 tensors, 3 were given"):
        load_in_order(model, weights[:1] + weights[:2])
    assert torch.equal(model[0].weight, before)
    load_in_order(model, [torch.ones(4, 3, 1, 1), torch.ones(4), torch.ones(2, 4), torch.ones(2)])
    assert (model[0].weight == 1).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_published_network_trains(name):
    with torch.device("meta"):
        network = build(name, 5, channels=1)
        logits = network(torch.empty(2, 1, 64, 64))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_unknown_names_and_numbers():
    with pytest.raises(ValueError, match=r"one of muxnet_xs, .*; got 'muxnet_q'"):
        build("muxnet_q")
    with pytest.raises(ValueError, match="1 or more, got 0 and 3"):
        build("muxnet_m", 0)


@pytest.mark.parametrize(
    ("count", "figure", "wanted"),
    [(3_354_276, "3,354,276", 0), (25_549_480, "25.549 M", 0), (3_155_824_640, "3.156 G", 0), (99, "100", -0.01)],
)
def test_deviation(count, figure, wanted):
    assert deviation(count, figure) == pytest.approx(wanted)


def test_command(capsys):
    assert command.main(["muxnet_m", "pix_vgg16", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["muxnet_m", "pix_vgg16"]
    assert (rows[0]["params"], rows[0]["macs_difference"]) == (3_354_276, 0)
    assert command.main(["muxnet_m"]) == 0
    assert "216,808,112" in capsys.readouterr().out
    assert command.main(["muxnet_q"]) == 2
    assert "got 'muxnet_q'" in capsys.readouterr().err


def test_timm():
    pytest.importorskip("timm")
    script = (
        "import timm, search_spaces.timm_models\n"
        "assert type(timm.create_model('muxnet_m', num_classes=3)).__module__ == 'search_spaces.network'\n"
        "assert type(timm.create_model('resnet50')).__module__.startswith('timm')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
