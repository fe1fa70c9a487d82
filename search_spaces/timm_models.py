"""Importing this registers the published networks with timm: `timm.create_model("muxnet_m")`; timm is an optional extra.

Names that timm has already, as resnet50, stay timm's.
"""

from __future__ import annotations

from typing import Any

from timm.models import is_model, register_model

from search_spaces.network import Network
from search_spaces.published import NETWORKS, build


def register(name: str) -> None:
    """Registers one network under its own name."""

    def entry(pretrained: bool = False, *, num_classes: int = 1000, in_chans: int = 3, **others: Any) -> Network:
        if pretrained:
            raise ValueError(f"{name} has no pretrained weights: leave pretrained out")
        unknown = {key for key, value in others.items() if value is not None and not key.startswith("pretrained_cfg")}
        if unknown:
            raise ValueError(f"{name} takes num_classes and in_chans, got {sorted(unknown)[0]!r}")
        return build(name, num_classes, channels=in_chans)

    entry.__name__, entry.__module__ = name, __name__
    register_model(entry)


for _name in NETWORKS:
    if not is_model(_name):
        register(_name)
