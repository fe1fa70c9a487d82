"""The space over all four ways of mixing channels, chosen stage by stage; no torch."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.plan import Plan, decode, network_choices, plan_for
from search_spaces.space import Choice, Space


def stage_choices(plan: Plan, number: int) -> tuple[Choice, ...]:
    """Mixer, depth, width and kernel of one stage, and what the mixer chooses besides."""
    name = f"stage{number}"
    mixer = f"{name}.mixer"
    return (
        Choice(mixer, ("pix", "conv1x1", "shuffle", "mux")),
        Choice(f"{name}.depth", (1, 2, 3)),
        Choice(f"{name}.width", plan.mixed_widths[number - 1]),
        Choice(f"{name}.kernel", (3, 5, 7)),
        Choice(f"{name}.zeta", (2, 4, 8), when=(mixer, ("pix", "conv1x1"))),
        Choice(f"{name}.tau", (0.5, 0.0, 1.0), when=(mixer, ("pix",))),
        Choice(f"{name}.shuffle", ("fixed", "dynamic", "static_dynamic"), when=(mixer, ("shuffle",))),
        Choice(f"{name}.groups", (2, 4, 8), when=(mixer, ("shuffle",))),
        Choice(f"{name}.scales", ("0", "-1+0", "-1+0+0+1"), when=(mixer, ("mux",))),
        Choice(f"{name}.expansion", plan.expansions, when=(mixer, ("mux",))),
        Choice(f"{name}.squeeze", (0.0, 0.25, 0.75), when=(mixer, ("mux",))),
        Choice(f"{name}.ratio", (0.25, 0.5, 0.75), when=(mixer, ("mux",))),
    )


def mixed(*, channels: int = 1, resolution: int = 32, classes: int = 10) -> Space[Architecture]:
    """Per stage PiX, a 1×1 convolution, a shuffle or MUXConv."""
    plan = plan_for(channels=channels, resolution=resolution, classes=classes)
    stages = [choice for i in range(len(plan.strides)) for choice in stage_choices(plan, i + 1)]
    return Space("mixed", (*network_choices(plan), *stages), partial(decode, plan))
