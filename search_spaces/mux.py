"""The space over MUXConv: every stage is of multiplexed blocks or of plain inverted residuals; no torch."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.plan import Plan, decode, network_choices, plan_for
from search_spaces.space import Choice, Space


def stage_choices(plan: Plan, number: int) -> tuple[Choice, ...]:
    """Mixer, depth, width, scales, kernels, expansion and squeeze of one stage, processed ratio where it is multiplexed."""
    name = f"stage{number}"
    return (
        Choice(f"{name}.mixer", ("mux", "inverted_residual")),
        Choice(f"{name}.depth", (1, 2, 3)),
        Choice(f"{name}.width", plan.mux_widths[number - 1]),
        Choice(f"{name}.scales", ("0", "-1+0", "-1+0+0+1")),
        Choice(f"{name}.kernels", ("3", "5", "7", "3+5", "3+5+7"), when=(f"{name}.scales", ("0",))),
        Choice(f"{name}.kernel", (3, 5), when=(f"{name}.scales", ("-1+0", "-1+0+0+1"))),
        Choice(f"{name}.expansion", plan.expansions),
        Choice(f"{name}.squeeze", (0.0, 0.25, 0.75)),
        Choice(f"{name}.ratio", (0.25, 0.5, 0.75), when=(f"{name}.mixer", ("mux",))),
    )


def mux(*, channels: int = 1, resolution: int = 32, classes: int = 10) -> Space[Architecture]:
    """Per stage channel multiplexing or not, with mixed kernels or spatial multiplexing in the convolution."""
    plan = plan_for(channels=channels, resolution=resolution, classes=classes)
    stages = [choice for i in range(len(plan.strides)) for choice in stage_choices(plan, i + 1)]
    return Space("mux", (*network_choices(plan), *stages), partial(decode, plan))
