"""3×3 convolution by 36 products for 16 outputs instead of 144, natively on channels-last maps; for inference only.

Winograd's F(4×4, 3×3) as Lavin and Gray (2016) use it, y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A. The native code has A and B, here is G. Rounding
errors are about ten times those of the direct way: 1 to 5·10⁻⁶ of the largest output up to 512 channels. A value that is not finite
reaches all outputs of the tiles that read it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.library import LIBRARY

FINITE = (0.0, 0.75, -0.75, 1.5, -1.5)  # points at which products are taken, beside infinity; winograd.h has the same
WIDTH = 16  # channels go in and out in such pieces
PANEL = 32  # output channels that lie together in the transformed weights


def is_winograd(conv: nn.Conv2d) -> bool:
    """Whether the module is a convolution that `suits`, with zeros beyond the map."""
    return conv.padding_mode == "zeros" and suits(conv.weight, conv.stride, conv.padding, conv.dilation, conv.groups)


def suits(
    weight: Tensor, stride: Sequence[int], padding: Sequence[int] | str, dilation: Sequence[int], groups: int
) -> bool:
    """Whether it is a dense 3×3 convolution of stride 1 that keeps the map's size, of channels in whole pieces of `WIDTH`."""
    same = weight.shape[2:] == (3, 3) and tuple(stride) == tuple(padding) == tuple(dilation) == (1, 1)
    return same and groups == 1 and weight.shape[0] % WIDTH == weight.shape[1] % WIDTH == 0


def transformed(weight: Tensor) -> Tensor:
    """G w Gᵀ: (C_out, C_in, 3, 3) -> (⌈C_out/32⌉, 36, C_in, 32), zeros beyond C_out; four times the bytes."""
    matrix = torch.zeros(6, 3, dtype=torch.float64)
    for i, point in enumerate(FINITE):
        others = torch.tensor([point - other for other in FINITE if other != point], dtype=torch.float64)
        matrix[i] = torch.tensor([1.0, point, point**2], dtype=torch.float64) / others.prod()
    matrix[5, 2] = 1
    c_out, c_in = weight.shape[:2]
    products = torch.einsum("ip,kcpq,jq->ijck", matrix, weight.double(), matrix).float().flatten(0, 1)
    panels: Tensor = F.pad(products, (0, -c_out % PANEL)).unflatten(2, (-1, PANEL))  # (36, C_in, panels, 32)
    return panels.permute(2, 0, 1, 3).contiguous()


def winograd(x: Tensor, weights: Tensor, bias: Tensor, residual: Tensor | None = None, *, relu: bool = False) -> Tensor:
    """The convolution of x, with bias, residual and ReLU: (N, C_in, H, W) -> (N, C_out, H, W).

    Args:
        x: usable (see dispatch) and channels-last.
        weights: see `transformed`.
        bias: (C_out,).
        residual: like the output, channels-last.
        relu: whether ReLU follows the sum.
    """
    assert LIBRARY is not None
    batch, c_in, height, width = x.shape
    c_out = len(bias)
    y = torch.empty((batch, c_out, height, width), memory_format=torch.channels_last)
    LIBRARY.nas_winograd(
        x.data_ptr(),
        weights.data_ptr(),
        bias.data_ptr(),
        None if residual is None else residual.data_ptr(),
        y.data_ptr(),
        batch,
        height,
        width,
        c_in,
        c_out,
        relu,
        torch.get_num_threads(),
    )
    return y
