"""The space over channel shuffles: every stage is of ShuffleNet units with one of three shuffles; no torch."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.plan import Plan, decode, network_choices, plan_for
from search_spaces.space import Choice, Space


def stage_choices(plan: Plan, number: int) -> tuple[Choice, ...]:
    """Unit, depth, width, kernel and shuffle of one stage, groups where the unit has grouped convolutions."""
    name = f"stage{number}"
    return (
        Choice(f"{name}.mixer", ("shuffle", "shuffle_v2")),
        Choice(f"{name}.depth", (1, 2, 3, 4)),
        Choice(f"{name}.width", plan.widths[number - 1]),
        Choice(f"{name}.kernel", (3, 5, 7)),
        Choice(f"{name}.shuffle", ("fixed", "dynamic", "static_dynamic")),
        Choice(f"{name}.groups", (2, 4, 8), when=(f"{name}.mixer", ("shuffle",))),
    )


def shuffle(*, channels: int = 1, resolution: int = 32, classes: int = 10) -> Space[Architecture]:
    """Per stage a ShuffleNet V1 or V2 unit whose shuffle is fixed, dynamic or static-dynamic."""
    plan = plan_for(channels=channels, resolution=resolution, classes=classes)
    stages = [choice for i in range(len(plan.strides)) for choice in stage_choices(plan, i + 1)]
    return Space("shuffle", (*network_choices(plan), *stages), partial(decode, plan))
