"""The space over PiX: every stage is a bottleneck squeezed by PiX or by a 1×1 convolution; no torch."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.plan import Plan, decode, network_choices, plan_for
from search_spaces.space import Choice, Space


def stage_choices(plan: Plan, number: int) -> tuple[Choice, ...]:
    """Mixer, depth, width, kernel and ζ of one stage, τ where it is squeezed by PiX."""
    name = f"stage{number}"
    return (
        Choice(f"{name}.mixer", ("pix", "conv1x1")),
        Choice(f"{name}.depth", (1, 2, 3, 4)),
        Choice(f"{name}.width", plan.widths[number - 1]),
        Choice(f"{name}.kernel", (3, 5, 7)),
        Choice(f"{name}.zeta", (2, 4, 8)),
        Choice(f"{name}.tau", (0.5, 0.0, 1.0), when=(f"{name}.mixer", ("pix",))),
    )


def pix(*, channels: int = 1, resolution: int = 32, classes: int = 10) -> Space[Architecture]:
    """Per stage PiX or a 1×1 convolution squeezes the bottleneck; τ 0 always mixes, 1 always picks."""
    plan = plan_for(channels=channels, resolution=resolution, classes=classes)
    stages = [choice for i in range(len(plan.strides)) for choice in stage_choices(plan, i + 1)]
    return Space("pix", (*network_choices(plan), *stages), partial(decode, plan))
