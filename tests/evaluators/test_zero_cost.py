"""Scores of untrained networks against their formulas on networks small enough to work out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from evaluators.training.datasets import load
from evaluators.zero_cost import ZERO_COST, Scorer, grad_norm, naswot, synflow
from nas.config import UNTRAINED
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.network import build

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(6) % 3


def test_synflow_of_a_linear_chain_is_layers_times_the_path_sum() -> None:
    chain = nn.Sequential(nn.Flatten(), nn.Linear(64, 5, bias=False), nn.Linear(5, 3, bias=False))
    paths = (chain[2].weight.abs() @ chain[1].weight.abs()).sum().item()
    assert synflow(chain, IMAGES, LABELS) == pytest.approx(math.log(2 * paths), rel=1e-5)


def test_grad_norm_of_a_linear_layer() -> None:
    layer = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))
    x = IMAGES.flatten(1)
    error = (x @ layer[1].weight.T).softmax(1) - torch.eye(3)[LABELS]
    assert grad_norm(layer, IMAGES, LABELS) == pytest.approx(float((error.T @ x / 6).norm().detach()), rel=1e-5)


def test_naswot_counts_rectifiers_that_agree() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU())
    codes = (network(IMAGES) > 0).numpy()
    kernel = torch.tensor([[float((a == b).sum()) for b in codes] for a in codes], dtype=torch.float64)
    assert naswot(network, IMAGES, LABELS) == pytest.approx(float(torch.linalg.slogdet(kernel).logabsdet))
    assert naswot(nn.Flatten(), IMAGES, LABELS) == 0


@pytest.mark.parametrize("mixer", ["pix", "conv1x1", "shuffle", "mux"])
@pytest.mark.parametrize("name", ZERO_COST)
def test_every_score_is_finite_and_leaves_the_network_alone(name: str, mixer: str) -> None:
    torch.manual_seed(0)
    network = build(Architecture(1, 8, 3, Stem(8), (Stage.of(mixer, depth=1, width=8, stride=1),)))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    score = ZERO_COST[name](network, IMAGES, LABELS)
    assert math.isfinite(score) and ZERO_COST[name](network, IMAGES, LABELS) == pytest.approx(score, rel=1e-4)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_a_scorer_gives_the_named_scores_and_leaves_the_generator_alone() -> None:
    data, architecture = (
        load("digits"),
        Architecture(1, 16, 10, Stem(8), (Stage.of("pix", depth=1, width=8, stride=1),)),
    )
    scorer = Scorer(("naswot", "synflow"), data)
    state = torch.get_rng_state()
    first, again = scorer(architecture), scorer(architecture)
    assert torch.equal(state, torch.get_rng_state())
    assert first == again and len(first) == 2 and all(map(math.isfinite, first))
    torch.manual_seed(0)
    assert first[1] == pytest.approx(synflow(build(architecture), torch.ones(1, 1, 16, 16), LABELS))
    assert scorer.networks == 2 and scorer.seconds > 0


def test_names_of_scores() -> None:
    assert set(UNTRAINED) == set(ZERO_COST)
    with pytest.raises(ValueError, match="scores of untrained networks are synflow, grad_norm, naswot, got 'luck'"):
        Scorer(("luck",), load("digits"))
