"""Properties that hold of every space in the catalogue; a new space is tested by being listed."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.architecture import Architecture
from search_spaces.catalogue import SPACES
from search_spaces.network import build, cost_parts
from search_spaces.plan import plan_for
from search_spaces.space import Space

INPUTS = [(1, 8), (1, 28), (3, 32), (3, 64), (1, 96), (3, 224)]


ALL = [
    pytest.param(factory(channels=channels, resolution=resolution, classes=7), id=f"{name}-{channels}x{resolution}")
    for (name, factory), (channels, resolution) in product(SPACES.items(), INPUTS)
]


def genotypes(space: Space[Architecture]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*(st.integers(0, len(choice.options) - 1) for choice in space.choices))


def macs_and_params(module: torch.nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(torch.empty(shape, device="meta"))
    return counter.get_total_flops() // 2, sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("space", ALL)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_decode_is_total_and_canonical(space, data):
    genotype = data.draw(genotypes(space))
    architecture = space.decode(genotype)
    canonical = space.canonical(genotype)
    assert space.decode(canonical) == architecture
    assert space.genotype(space.values(genotype)) == canonical
    assert Architecture.from_json(architecture.to_json()) == architecture


@pytest.mark.parametrize("space", ALL)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_equal_architectures_are_equal_keys_and_canonical_genotypes(space, data):
    one, other = data.draw(genotypes(space)), data.draw(genotypes(space))
    same = space.canonical(one) == space.canonical(other)
    assert (space.decode(one) == space.decode(other)) == same
    assert (space.decode(one).key == space.decode(other).key) == same


@pytest.mark.parametrize("space", ALL)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_one_gene_changes_what_it_governs(space, data):
    genotype = data.draw(genotypes(space))
    at = data.draw(st.integers(0, len(genotype) - 1))
    gene = data.draw(st.integers(0, len(space.choices[at].options) - 1))
    before, after = space.decode(genotype), space.decode((*genotype[:at], gene, *genotype[at + 1 :]))
    name = space.choices[at].name
    if not name.startswith("stage"):
        assert before.stages == after.stages
        assert (before.stem == after.stem) or name == "stem.width"
        assert (before.head == after.head) or name == "head.width"
        assert (before.resolution == after.resolution) or name == "resolution"
    else:
        number = int(name.removeprefix("stage").split(".")[0]) - 1
        changed = [i for i, (a, b) in enumerate(zip(before.stages, after.stages, strict=True)) if a != b]
        assert set(changed) <= {number}
        assert (before.stem, before.head, before.resolution) == (after.stem, after.head, after.resolution)


@pytest.mark.parametrize("space", ALL)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_parts_cost_what_the_network_costs(space, data):
    architecture = space.decode(data.draw(genotypes(space)))
    shape = (1, architecture.channels, architecture.resolution, architecture.resolution)
    with torch.device("meta"):
        whole = macs_and_params(build(architecture), shape)
        parts = [macs_and_params(make(), size) for _, make, size in cost_parts(architecture)]
    assert tuple(map(sum, zip(*parts, strict=True))) == whole


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 20), (1, 32), (3, 72), (3, 128)])
@pytest.mark.parametrize("name", SPACES)
def test_samples_build_and_run_forward_and_backward(name, channels, resolution):
    space = SPACES[name](channels=channels, resolution=resolution, classes=3)
    generator = np.random.default_rng(resolution)
    for _ in range(1 if resolution > 64 else 2):
        architecture = space.decode(space.sample(generator))
        network = build(architecture)
        images = torch.randn(2, channels, architecture.resolution, architecture.resolution)
        logits = network(images)
        assert logits.shape == (2, 3)
        logits.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        with torch.no_grad():
            assert network.eval()(images).isfinite().all()


@pytest.mark.parametrize("name", SPACES)
def test_every_option_builds(name):
    """With every mixer in all stages, each option of each choice in turn."""
    space = SPACES[name](channels=1, resolution=16, classes=3)
    mixers = next(choice for choice in space.choices if choice.name == "stage1.mixer").options
    for mixer, turn in product(range(len(mixers)), range(max(len(choice.options) for choice in space.choices))):
        genes = [
            mixer if c.name.endswith(".mixer") else (turn + i) % len(c.options) for i, c in enumerate(space.choices)
        ]
        architecture = space.decode(tuple(genes))
        with torch.device("meta"):
            side = architecture.resolution
            assert build(architecture)(torch.empty(2, 1, side, side)).shape == (2, 3)


@pytest.mark.parametrize("name", SPACES)
def test_size_is_the_number_of_architectures(name):
    """Counted by listing, on the first two stages' choices with the first options only where there are many."""
    full = SPACES[name](channels=1, resolution=8, classes=2)
    few = tuple(choice for choice in full.choices if choice.name.startswith("stage1"))
    space = Space("one stage", few, lambda values: Values(tuple(sorted(values.items()))))
    listed = {space.canonical(genes) for genes in product(*(range(len(choice.options)) for choice in few))}
    assert space.size == len(listed)


class Values(tuple):
    """Active values that stand in for an architecture."""


@pytest.mark.parametrize(
    ("resolution", "stride", "pool", "strides"),
    [
        (8, 1, False, (1, 2, 2)),
        (27, 1, False, (1, 2, 2)),
        (28, 1, False, (1, 2, 2, 2)),
        (64, 1, False, (1, 2, 2, 2)),
        (65, 2, False, (1, 2, 2, 2)),
        (128, 2, True, (1, 2, 2, 2)),
        (224, 2, True, (1, 2, 2, 2)),
    ],
)
def test_plan_fits_the_input(resolution, stride, pool, strides):
    plan = plan_for(channels=3, resolution=resolution, classes=10)
    assert (plan.stem_stride, plan.pool, plan.strides) == (stride, pool, strides)
    assert plan.resolutions[-1] == resolution
    assert len(plan.widths) == len(plan.mux_widths) == len(plan.mixed_widths) == len(strides)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"channels": 3, "resolution": 7, "classes": 10}, "resolution must be from 8 to 1024 pixels, got 7"),
        ({"channels": 0, "resolution": 32, "classes": 10}, "an input has 1 to 64 channels"),
        ({"channels": 3, "resolution": 32, "classes": 0}, "1 class or more, got 3 and 0"),
    ],
)
def test_plan_rejects_odd_inputs(arguments, text):
    with pytest.raises(ValueError, match=text):
        plan_for(**arguments)
