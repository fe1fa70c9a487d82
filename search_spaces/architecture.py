"""The frozen, JSON-able description of a network, stage by stage; it knows no torch and no search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

OptionValue = str | int | float | tuple[int, ...]

FORMAT = 1
# As the papers write them; an option without a short form is printed by its name.
SHORT = {
    "kernel": "k",
    "kernels": "k",
    "zeta": "ζ",
    "tau": "τ",
    "groups": "g",
    "expansion": "e",
    "squeeze": "se",
    "ratio": "r",
    "scales": "scales=",
    "shuffle": "",
}
LIMITS = {
    "channels": 64,
    "resolution": 4096,
    "classes": 1_000_000,
    "width": 65_536,
    "depth": 256,
    "stages": 64,
    "stride": 8,
}


@dataclass(frozen=True)
class Stem:
    """The first convolution: k×k, `width` channels, and a 3×3/2 max pool after it where `pool` is set."""

    width: int
    kernel: int = 3
    stride: int = 1
    pool: bool = False


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one mixer; the first one changes the width and takes the stride. Options are sorted by name."""

    mixer: str
    depth: int
    width: int
    stride: int
    options: tuple[tuple[str, OptionValue], ...] = ()

    @classmethod
    def of(cls, mixer: str, *, depth: int, width: int, stride: int, **options: OptionValue) -> Stage:
        """A stage with its options by name."""
        return cls(mixer, depth, width, stride, tuple(sorted(options.items())))

    def __str__(self) -> str:
        options = " ".join(f"{SHORT.get(name, name + '=')}{_short(value)}" for name, value in self.options)
        return (
            f"{self.depth}×{self.mixer} c{self.width}{f' /{self.stride}' if self.stride > 1 else ''} {options}".strip()
        )


@dataclass(frozen=True)
class Architecture:
    """An image classifier: input, stem, stages, head. Equal architectures are equal values with one key.

    `head` is the width of a 1×1 convolution before the global average pool, 0 for none.
    """

    channels: int
    resolution: int
    classes: int
    stem: Stem
    stages: tuple[Stage, ...]
    head: int = 0

    @cached_property
    def key(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return key_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back to an equal value."""
        return {
            "format": FORMAT,
            "input": {"channels": self.channels, "resolution": self.resolution},
            "classes": self.classes,
            "stem": {
                "width": self.stem.width,
                "kernel": self.stem.kernel,
                "stride": self.stem.stride,
                "pool": self.stem.pool,
            },
            "stages": [
                {
                    "mixer": stage.mixer,
                    "depth": stage.depth,
                    "width": stage.width,
                    "stride": stage.stride,
                    **{name: list(value) if isinstance(value, tuple) else value for name, value in stage.options},
                }
                for stage in self.stages
            ],
            "head": self.head,
        }

    @classmethod
    def from_json(cls, data: object) -> Architecture:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: a part is missing, of the wrong type, unknown or larger than any network has.
        """
        top = _table(data, "architecture", {"format", "input", "classes", "stem", "stages", "head"})
        if top["format"] != FORMAT:
            raise ValueError(f"an architecture of format {FORMAT} is needed, got format {top['format']!r}")
        image = _table(top["input"], "input", {"channels", "resolution"})
        stem = _table(top["stem"], "stem", {"width", "kernel", "stride", "pool"})
        stages = top["stages"]
        if not isinstance(stages, list) or not 1 <= len(stages) <= LIMITS["stages"]:
            raise ValueError(f"stages must be a list of 1 to {LIMITS['stages']} stages, got {_brief(stages)}")
        if not isinstance(stem["pool"], bool):
            raise ValueError(f"stem.pool must be true or false, got {_brief(stem['pool'])}")
        return cls(
            channels=_count(image["channels"], "input.channels", LIMITS["channels"]),
            resolution=_count(image["resolution"], "input.resolution", LIMITS["resolution"]),
            classes=_count(top["classes"], "classes", LIMITS["classes"]),
            stem=Stem(
                width=_count(stem["width"], "stem.width", LIMITS["width"]),
                kernel=_count(stem["kernel"], "stem.kernel", 31),
                stride=_count(stem["stride"], "stem.stride", LIMITS["stride"]),
                pool=stem["pool"],
            ),
            stages=tuple(_stage(stage, f"stages[{i}]") for i, stage in enumerate(stages)),
            head=_count(top["head"], "head", LIMITS["width"], least=0),
        )

    def __str__(self) -> str:
        stages = " · ".join(map(str, self.stages))
        return f"{self.resolution}px · stem c{self.stem.width} · {stages}" + (
            f" · head c{self.head}" if self.head else ""
        )


def key_of(data: object) -> str:
    """Identity of plain data: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stage(data: object, where: str) -> Stage:
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be an object, got {_brief(data)}")
    missing = {"mixer", "depth", "width", "stride"} - set(data)
    if missing:
        raise ValueError(f"{where} lacks {sorted(missing)[0]!r}")
    options = {}
    for name, value in data.items():
        if name in {"mixer", "depth", "width", "stride"}:
            continue
        if isinstance(value, list) and 0 < len(value) <= 16 and all(type(v) is int for v in value):
            value = tuple(value)
        elif isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 64:
            raise ValueError(f"{where}.{name} must be text, a number or a short list of integers, got {_brief(value)}")
        options[str(name)[:64]] = value
    if not isinstance(data["mixer"], str) or len(data["mixer"]) > 64:
        raise ValueError(f"{where}.mixer must be a name, got {_brief(data['mixer'])}")
    return Stage.of(
        data["mixer"],
        depth=_count(data["depth"], f"{where}.depth", LIMITS["depth"]),
        width=_count(data["width"], f"{where}.width", LIMITS["width"]),
        stride=_count(data["stride"], f"{where}.stride", LIMITS["stride"]),
        **options,
    )


def _table(data: object, where: str, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be an object, got {_brief(data)}")
    if set(data) != names:
        odd = sorted(map(str, set(data) ^ names))[0]
        raise ValueError(f"{where} must hold exactly {', '.join(sorted(names))}; {odd[:64]!r} is missing or unknown")
    return data


def _count(value: object, where: str, most: int, *, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{where} must be a whole number from {least} to {most}, got {_brief(value)}")
    return value


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _short(value: OptionValue) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
