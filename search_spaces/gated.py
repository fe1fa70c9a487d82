"""The space that compares PiX in its other uses with squeeze-and-excite and CBAM, in residual blocks; no torch."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.plan import Plan, decode, network_choices, plan_for
from search_spaces.space import Choice, Space


def stage_choices(plan: Plan, number: int) -> tuple[Choice, ...]:
    """Block, depth, width, kernel and gate of one stage; PiX downscales a basic block and prunes a bottleneck."""
    name = f"stage{number}"
    mixer = f"{name}.mixer"
    return (
        Choice(mixer, ("basic", "conv1x1")),
        Choice(f"{name}.depth", (1, 2, 3)),
        Choice(f"{name}.width", plan.widths[number - 1]),
        Choice(f"{name}.kernel", (3, 5)),
        Choice(f"{name}.gate", ("none", "se", "cbam", "pix")),
        Choice(f"{name}.downscale", (1, 2, 4), when=(mixer, ("basic",))),
        Choice(f"{name}.zeta", (2, 4), when=(mixer, ("conv1x1",))),
        Choice(f"{name}.prune", (1, 2, 4), when=(mixer, ("conv1x1",))),
    )


def gated(*, channels: int = 1, resolution: int = 32, classes: int = 10) -> Space[Architecture]:
    """Per stage basic blocks that PiX may downscale or bottlenecks that it may prune, and a gate: SE, CBAM, PiX or none."""
    plan = plan_for(channels=channels, resolution=resolution, classes=classes)
    stages = [choice for i in range(len(plan.strides)) for choice in stage_choices(plan, i + 1)]
    return Space("gated", (*network_choices(plan), *stages), partial(decode, plan))
