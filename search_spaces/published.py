"""The published networks by name, with the figures that their papers give; it knows no search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.families import muxnet
from search_spaces.families.mobilenet import mobilenet_v2
from search_spaces.families.resnet import resnet
from search_spaces.families.shufflenet import shufflenet_v1, shufflenet_v2
from search_spaces.families.vgg import vgg16
from search_spaces.network import Network


@dataclass(frozen=True)
class Published:
    """A network at 224×224 pixels and 1,000 classes, and what is known of it.

    `params` and `macs` are the figures of `source` as printed there ("25.549 M", "3,354,276"), empty where it has none;
    `note` says what a reader has to know of a difference.
    """

    make: Callable[..., Network]
    source: str
    params: str = ""
    macs: str = ""
    note: str = ""


MUX = "MUXConv, CVPR 2020"
PIX = "PiX, CVPR 2024"
RESNET = "ResNet, CVPR 2016; figures of torchvision"
V1 = "ShuffleNet, CVPR 2018"
V2 = "ShuffleNet V2, ECCV 2018"
DYNAMIC = "dynamic shuffle, arXiv 2310.02776"
HOST = "figures of the host with its fixed shuffle; the difference is what the operator costs"
NO_FIGURE = "no figures: the paper's layers are not known here in full, see the docstring"

NETWORKS: dict[str, Published] = {
    "muxnet_xs": Published(
        partial(muxnet.muxnet, muxnet.XS),
        MUX,
        "1.8 M",
        "66 M",
        note="layers not published: widths fitted to the figures",
    ),
    "muxnet_s": Published(
        partial(muxnet.muxnet, muxnet.S),
        MUX,
        "2.4 M",
        "117 M",
        note="layers not published: widths fitted to the figures",
    ),
    "muxnet_m": Published(partial(muxnet.muxnet, muxnet.M), MUX, "3,354,276", "216,808,112"),
    "muxnet_l": Published(partial(muxnet.muxnet, muxnet.L), MUX, "4,041,178", "316,454,832"),
    "resnet50": Published(partial(resnet, layers=50, squeeze="conv1x1"), RESNET, "25.557 M", "4.089 G"),
    "resnet101": Published(partial(resnet, layers=101, squeeze="conv1x1"), RESNET, "44.549 M", "7.801 G"),
    "resnet152": Published(partial(resnet, layers=152, squeeze="conv1x1"), RESNET, "60.193 M", "11.514 G"),
    "pix_resnet50": Published(partial(resnet, layers=50, squeeze="pix"), PIX, "25.549 M", "3.156 G"),
    "pix_resnet101": Published(partial(resnet, layers=101, squeeze="pix"), PIX, "44.533 M", "5.999 G"),
    "pix_resnet152": Published(partial(resnet, layers=152, squeeze="pix"), PIX, "60.169 M", "8.841 G"),
    "vgg16": Published(partial(vgg16, zeta=1), "VGG, ICLR 2015; here with batch norm", "138 M", "15.5 G"),
    "pix_vgg16": Published(partial(vgg16, zeta=2), PIX, note=NO_FIGURE),
    "mobilenet_v2": Published(
        partial(mobilenet_v2, pointwise="conv"),
        "MobileNetV2, CVPR 2018",
        "3.4 M",
        "300 M",
        note="the paper prints 3.4 M; its layers have 3.505 M here as in torchvision",
    ),
    "pix_mobilenet_v2": Published(partial(mobilenet_v2, pointwise="pix"), PIX, note=NO_FIGURE),
    "mobilenet_v2_static_dynamic": Published(
        partial(mobilenet_v2, pointwise="static_dynamic"), DYNAMIC, note=NO_FIGURE
    ),
    "shufflenet_v1_x0_5": Published(partial(shufflenet_v1, scale=0.5, shuffle="fixed"), V1, "", "38 M"),
    "shufflenet_v1_x1_0": Published(partial(shufflenet_v1, scale=1.0, shuffle="fixed"), V1, "", "137 M"),
    "shufflenet_v2_x0_5": Published(partial(shufflenet_v2, scale=0.5, shuffle="fixed"), V2, "1.4 M", "41 M"),
    "shufflenet_v2_x1_0": Published(partial(shufflenet_v2, scale=1.0, shuffle="fixed"), V2, "2.3 M", "146 M"),
    "shufflenet_v1_x0_5_dynamic": Published(
        partial(shufflenet_v1, scale=0.5, shuffle="dynamic"), DYNAMIC, "", "38 M", note=HOST
    ),
    "shufflenet_v1_x1_0_dynamic": Published(
        partial(shufflenet_v1, scale=1.0, shuffle="dynamic"), DYNAMIC, "", "137 M", note=HOST
    ),
    "shufflenet_v2_x0_5_dynamic": Published(
        partial(shufflenet_v2, scale=0.5, shuffle="dynamic"), DYNAMIC, "1.4 M", "41 M", note=HOST
    ),
    "shufflenet_v2_x1_0_dynamic": Published(
        partial(shufflenet_v2, scale=1.0, shuffle="dynamic"), DYNAMIC, "2.3 M", "146 M", note=HOST
    ),
    "shufflenet_v1_x0_5_static_dynamic": Published(
        partial(shufflenet_v1, scale=0.5, shuffle="static_dynamic"), DYNAMIC, "", "38 M", note=HOST
    ),
    "shufflenet_v1_x1_0_static_dynamic": Published(
        partial(shufflenet_v1, scale=1.0, shuffle="static_dynamic"), DYNAMIC, "", "137 M", note=HOST
    ),
    "shufflenet_v2_x0_5_static_dynamic": Published(
        partial(shufflenet_v2, scale=0.5, shuffle="static_dynamic"), DYNAMIC, "1.4 M", "41 M", note=HOST
    ),
    "shufflenet_v2_x1_0_static_dynamic": Published(
        partial(shufflenet_v2, scale=1.0, shuffle="static_dynamic"), DYNAMIC, "2.3 M", "146 M", note=HOST
    ),
}


def deviation(count: int, figure: str) -> float:
    """How far a count is from a printed figure, as a fraction of it; 0 where it rounds to the same digits."""
    value, _, unit = figure.replace(",", "").partition(" ")
    scale = {"": 1.0, "M": 1e6, "G": 1e9}[unit]
    decimals = len(value.partition(".")[2])
    return 0.0 if round(count / scale, decimals) == float(value) else count / (float(value) * scale) - 1


def build(name: str, num_classes: int = 1000, *, channels: int = 3) -> Network:
    """A published network with fresh weights: (N, channels, H, W) -> (N, num_classes).

    Raises:
        ValueError: no network of that name, or a number below 1.
    """
    if name not in NETWORKS:
        raise ValueError(f"a published network is one of {', '.join(NETWORKS)}; got {name!r}")
    if num_classes < 1 or channels < 1:
        raise ValueError(f"num_classes and channels must be 1 or more, got {num_classes} and {channels}")
    return NETWORKS[name].make(channels=channels, num_classes=num_classes)


def load_in_order(model: nn.Module, tensors: Mapping[str, Tensor] | Iterable[Tensor]) -> None:
    """Copies weights of another implementation by order and shape, which layers registered in order of execution allow.

    Counters of batches are left out on both sides, and a 1×1 convolution's weight (C_out, C_in, 1, 1) fits a linear layer's
    (C_out, C_in). Nothing is copied unless everything fits.

    Args:
        model: takes the weights.
        tensors: a state dict or the tensors alone, in order.

    Raises:
        ValueError: numbers or shapes differ; it lists the first ten places.
    """
    given = (
        list(tensors.items()) if isinstance(tensors, Mapping) else [(f"tensor {i}", t) for i, t in enumerate(tensors)]
    )
    given = [(name, tensor) for name, tensor in given if tensor.ndim]
    wanted = [(name, tensor) for name, tensor in model.state_dict().items() if tensor.ndim]
    differences = [
        f"{name} is {tuple(into.shape)}, {source} is {tuple(tensor.shape)}"
        for (name, into), (source, tensor) in zip(wanted, given, strict=False)
        if _bare(into) != _bare(tensor)
    ]
    if len(given) != len(wanted):
        differences.append(f"the model has {len(wanted)} tensors, {len(given)} were given")
    if differences:
        shown = "; ".join(differences[:10])
        raise ValueError(f"tensors must match the model's in order and shape; {len(differences)} do not: {shown}")
    with torch.no_grad():
        for (_, into), (_, tensor) in zip(wanted, given, strict=True):
            into.copy_(tensor.reshape(into.shape))


def _bare(tensor: Tensor) -> tuple[int, ...]:
    """The shape without the spatial ones of a 1×1 convolution."""
    shape = tuple(tensor.shape)
    return shape[:2] if shape[2:] == (1, 1) else shape
