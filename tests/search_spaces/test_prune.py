"""PiX put into a trained network."""

import pytest
import torch

from search_spaces.hosts.prune import prune_with_pix
from search_spaces.operators.conv_norm import ConvNorm


@pytest.mark.parametrize("zeta", [2, 3, 4])
def test_computes_the_same_where_channels_of_a_subset_are_equal(zeta):
    torch.manual_seed(0)
    network = torch.nn.Sequential(ConvNorm(3, 8, 3), ConvNorm(8, 6, 3)).eval()
    x = torch.randn(2, -(-8 // zeta), 5, 5).repeat_interleave(zeta, 1)[:, :8]
    before = network[1](x)
    prune_with_pix(network, "1.0", zeta=zeta)
    assert network[1][0][1].weight.shape[1] == -(-8 // zeta)
    torch.testing.assert_close(network[1](x), before, rtol=1e-5, atol=1e-5)
    network.train()(torch.randn(2, 3, 5, 5)).sum().backward()
    assert network[1][0][0].context.weight.grad is not None


@pytest.mark.parametrize("layer", ["", "1", "2.0", "1.1"])
def test_layer_must_be_a_convolution(layer):
    network = torch.nn.Sequential(ConvNorm(3, 8, 3), ConvNorm(8, 6, 3))
    with pytest.raises(ValueError, match=f"ungrouped convolution of the network, got '{layer}'"):
        prune_with_pix(network, layer, zeta=2)
