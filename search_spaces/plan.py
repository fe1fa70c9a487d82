"""What a space's choices are made of for a given input: strides, widths, and the decoder that all spaces share; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.architecture import Architecture, OptionValue, Stage, Stem
from search_spaces.space import Choice, Option

Widths = tuple[tuple[int, ...], ...]
# Widths by stage: of bottlenecks and ShuffleNet units, of stages of any kind, of inverted residuals. All are multiples of 4,
# and of 8 where units of 8 groups can be. The small ones keep one epoch of the digits within seconds on one CPU core.
SMALL: tuple[Widths, Widths, Widths] = (
    ((8, 16, 24, 32), (16, 32, 48, 64), (24, 48, 72, 96), (32, 64, 96, 128)),
    ((8, 16, 24), (8, 16, 24, 40), (16, 24, 40, 64), (24, 40, 64, 96)),
    ((8, 12, 16), (8, 16, 24), (16, 24, 32), (24, 32, 48)),
)
LARGE: tuple[Widths, Widths, Widths] = (
    ((24, 48, 96, 192), (40, 80, 192, 384), (80, 160, 320, 640), (160, 320, 640, 1280)),
    ((24, 48, 96), (40, 80, 160), (80, 160, 320), (160, 320, 640)),
    ((16, 24, 32), (24, 40, 56), (40, 80, 112), (80, 160, 200)),
)


@dataclass(frozen=True)
class Plan:
    """What follows from the input: how the stem and stages reduce it, and which sizes can be chosen."""

    channels: int
    classes: int
    resolutions: tuple[int, ...]
    stem_stride: int
    pool: bool
    strides: tuple[int, ...]
    stem_widths: tuple[int, ...]
    widths: Widths
    mixed_widths: Widths
    mux_widths: Widths
    expansions: tuple[int, ...]
    head_widths: tuple[int, ...]


def plan_for(*, channels: int, resolution: int, classes: int) -> Plan:
    """The plan for images of `channels`×`resolution`×`resolution` pixels.

    8–27 pixels: three stages, the stem keeps the resolution. 28–64: four stages, the stem keeps it. 65–127: the stem halves
    it. From 128 on stem and max pool quarter it.

    Raises:
        ValueError: a number is out of its range.
    """
    if not 8 <= resolution <= 1024:
        raise ValueError(f"resolution must be from 8 to 1024 pixels, got {resolution}")
    if not 1 <= channels <= 64 or classes < 1:
        raise ValueError(f"an input has 1 to 64 channels and 1 class or more, got {channels} and {classes}")
    if resolution <= 27:
        strides: tuple[int, ...] = (1, 2, 2)
    else:
        strides = (1, 2, 2, 2)
    large = resolution > 64
    widths, mixed, mux = LARGE if large else SMALL
    return Plan(
        channels=channels,
        classes=classes,
        resolutions=_resolutions(resolution),
        stem_stride=2 if large else 1,
        pool=resolution >= 128,
        strides=strides,
        stem_widths=(16, 32, 64) if large else (8, 16, 24),
        widths=widths[: len(strides)],
        mixed_widths=mixed[: len(strides)],
        mux_widths=mux[: len(strides)],
        expansions=(2, 4, 6) if large else (1, 2, 4),
        head_widths=(0, 640, 1280) if large else (0, 64, 128),
    )


def _resolutions(full: int) -> tuple[int, ...]:
    """Half, three quarters and all of the input, the parts rounded to 4 or 8 pixels and at least 8."""
    step = 8 if full > 64 else 4
    parts = (max(8, round(full * part / step) * step) for part in (0.5, 0.75))
    return tuple(sorted({part for part in parts if part < full} | {full}))


def network_choices(plan: Plan) -> tuple[Choice, ...]:
    """Resolution, stem and head."""
    return (
        Choice("resolution", plan.resolutions),
        Choice("stem.width", plan.stem_widths),
        Choice("head.width", plan.head_widths),
    )


def decode(plan: Plan, values: Mapping[str, Option]) -> Architecture:
    """The architecture of a space's active values: `resolution`, `stem.width`, `head.width`, `stageN.*`.

    A list of whole numbers is text joined by plus signs, as `3+5+7`. In a mux stage `depth` counts the multiplexed blocks
    after one inverted residual, as in the MUXNets; so no choice is without effect.
    """
    stages = []
    for number, stride in enumerate(plan.strides, 1):
        prefix = f"stage{number}."
        options = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
        mixer = str(options.pop("mixer"))
        depth, width = int(options.pop("depth")), int(options.pop("width"))
        depth += mixer == "mux"
        named = dict(_option(mixer, name, value) for name, value in options.items())
        stages.append(Stage.of(mixer, depth=depth, width=width, stride=stride, **named))
    return Architecture(
        channels=plan.channels,
        resolution=int(values["resolution"]),
        classes=plan.classes,
        stem=Stem(int(values["stem.width"]), kernel=3, stride=plan.stem_stride, pool=plan.pool),
        stages=tuple(stages),
        head=int(values["head.width"]),
    )


def _option(mixer: str, name: str, value: Option) -> tuple[str, OptionValue]:
    """A gene as the option of its block: lists become tuples, one kernel stands for all parts of a depthwise convolution."""
    if name in {"kernels", "scales"}:
        return name, tuple(map(int, str(value).split("+")))
    if name == "kernel" and mixer in {"mux", "inverted_residual"}:
        return "kernels", (int(value),)
    if name == "downscale":
        return "zeta", value
    return name, value
