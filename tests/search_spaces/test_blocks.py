"""Blocks by name: shapes, options, errors, and every stage that a space can choose."""

from itertools import product

import pytest
import torch

from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.blocks import BLOCKS, make_block
from search_spaces.catalogue import SPACES
from search_spaces.hosts.bottleneck import BasicBlock, Bottleneck
from search_spaces.hosts.shuffle_unit import ShuffleUnit
from search_spaces.network import build
from search_spaces.operators.dynamic_shuffle import DynamicShuffle
from search_spaces.operators.muxconv import ChannelMultiplexBlock, InvertedResidual
from search_spaces.operators.pix import PiX


@pytest.mark.parametrize("side", [8, 7, 1])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("c_in", "c_out"), [(16, 16), (16, 24), (24, 16), (8, 32)])
@pytest.mark.parametrize("mixer", BLOCKS)
def test_every_block_maps_the_shape(mixer, c_in, c_out, stride, side):
    with torch.device("meta"):
        y = BLOCKS[mixer](c_in, c_out, stride=stride)(torch.empty(3, c_in, side, side))
    assert y.shape == (3, c_out, -(-side // stride), -(-side // stride))


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(
            factory(channels=3, resolution=side),
            id=f"{name}-{side}",
            marks=pytest.mark.slow if side > 32 or name == "mixed" else (),
        )
        for (name, factory), side in product(SPACES.items(), (32, 224))
    ],
)
def test_every_stage_of_a_space_builds(space):
    """All options of the first stage, after the narrowest stem and after itself: the narrowest places there are."""
    genes = [
        range(len(choice.options)) if choice.name.startswith("stage1") and not choice.name.endswith("depth") else (0,)
        for choice in space.choices
    ]
    stages = {space.decode(genotype).stages[0] for genotype in product(*genes)}
    narrowest = min(stage.width for stage in stages)
    with torch.device("meta"):
        for stage in stages:
            make_block(stage, narrowest, stride=1)
            if stage.width == narrowest:
                make_block(stage, stage.width, stride=2)


def test_the_published_subsets_of_pix():
    for c_in, c_out, zeta in ((64, 256, 1), (256, 256, 4), (256, 512, 2), (512, 512, 4)):
        assert Bottleneck(c_in, c_out, stride=1, squeeze="pix").squeeze.zeta == zeta


def test_uses_of_pix():
    downscaled = BasicBlock(16, 32, stride=1, zeta=4)
    assert downscaled.second[0].in_channels == 8
    pruned = Bottleneck(16, 32, stride=1, zeta=4, prune=2)
    assert (pruned.prune.zeta, pruned.expand[0].in_channels) == (2, 4)
    gated = BasicBlock(16, 32, stride=1, gate="pix")
    assert isinstance(gated.gate, PiX) and gated.gate.zeta == 1


def test_mux_is_multiplexed_where_the_shape_stays():
    assert isinstance(BLOCKS["mux"](16, 16, stride=1), ChannelMultiplexBlock)
    assert isinstance(BLOCKS["mux"](16, 16, stride=2), InvertedResidual)
    assert isinstance(BLOCKS["mux"](16, 24, stride=1), InvertedResidual)


def test_shuffle_unit_concatenates_where_it_halves_and_widens():
    assert ShuffleUnit(16, 48, stride=2).concatenates
    assert not ShuffleUnit(16, 16, stride=2).concatenates
    assert any(isinstance(part, DynamicShuffle) for part in ShuffleUnit(16, 16, stride=1, shuffle="dynamic").modules())


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        (Stage.of("pixx", depth=1, width=8, stride=1), "mixer must be one of pix, conv1x1, .*; got 'pixx'"),
        (
            Stage.of("pix", depth=1, width=8, stride=1, groups=2),
            "'pix' has the options kernel, zeta, tau, gate; got 'groups'",
        ),
        (Stage.of("pix", depth=1, width=8, stride=1, c_in=2), "got 'c_in'"),
        (Stage.of("pix", depth=1, width=8, stride=1, zeta="4"), "'zeta' of mixer 'pix' must be of type int, got '4'"),
        (Stage.of("pix", depth=1, width=8, stride=1, zeta=0), "must be 1 or more, got 0"),
        (Stage.of("pix", depth=1, width=8, stride=1, kernel=4), "kernel must be odd, got 4"),
        (Stage.of("pix", depth=1, width=8, stride=1, gate="sse"), "gate must be none, se, cbam or pix, got 'sse'"),
        (Stage.of("shuffle", depth=1, width=8, stride=1, groups=3), "groups must divide the channels"),
        (
            Stage.of("shuffle", depth=1, width=8, stride=1, shuffle="any"),
            "shuffle must be fixed, dynamic or static_dynamic",
        ),
        (Stage.of("mux", depth=1, width=8, stride=1, kernels=3), "must be of type tuple, got 3"),
        (
            Stage.of("basic", depth=1, width=8, stride=1, zeta=9),
            "zeta must be from 1 to the number of channels, 8; got 9",
        ),
    ],
)
def test_errors_say_the_rule_and_the_value(stage, text):
    with pytest.raises(ValueError, match=text):
        build(Architecture(3, 8, 2, Stem(8), (stage,)))
