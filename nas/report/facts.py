"""What can be told of an architecture value by value, as `stage2.mixer = pix`; it knows no trial and no page.

A run folder may come from anybody, so what is no architecture within the bounds of `Architecture.from_json` has no facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.architecture import Architecture

Fact = str | int | float
MOST_GENES = 256


@dataclass(frozen=True)
class Column:
    """A choice as it was seen: its options in order, and the index of each architecture's option, `None` where it has none."""

    name: str
    options: tuple[Fact, ...]
    indices: tuple[int | None, ...]


def drawable(architecture: object) -> dict[str, Any] | None:
    """The architecture as plain, bounded data that a page can draw: stages, or the genes of a table; else `None`."""
    if isinstance(architecture, Mapping) and isinstance(architecture.get("genes"), Mapping):
        genes = architecture["genes"]
        bounded = len(genes) <= MOST_GENES and all(_plain(value) for value in genes.values())
        return {"genes": {str(name)[:64]: value for name, value in genes.items()}} if bounded else None
    try:
        return Architecture.from_json(architecture).to_json()
    except ValueError:
        return None


def facts(drawn: Mapping[str, Any] | None) -> dict[str, Fact]:
    """Every choice that what `drawable` gave tells of, by name; lists as `3+5`."""
    if drawn is None:
        return {}
    if "genes" in drawn:
        return dict(drawn["genes"])
    found: dict[str, Fact] = {
        "resolution": drawn["input"]["resolution"],
        "stem.width": drawn["stem"]["width"],
        "head.width": drawn["head"],
    }
    for number, stage in enumerate(drawn["stages"], 1):
        for name, value in stage.items():
            found[f"stage{number}.{name}"] = "+".join(map(str, value)) if isinstance(value, list) else value
    return found


def columns(rows: Sequence[Mapping[str, Fact]]) -> list[Column]:
    """The facts of many architectures by name; those that are the same everywhere are left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = []
    for name in names:
        values = [row.get(name) for row in rows]
        options = tuple(sorted({value for value in values if value is not None}, key=_order))
        if len(options) + (None in values) > 1:
            index = {option: i for i, option in enumerate(options)}
            found.append(Column(name, options, tuple(None if value is None else index[value] for value in values)))
    return found


def _plain(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, str | int | float) and len(str(value)) <= 64


def _order(value: Fact) -> tuple[bool, float, str]:
    """Numbers by size, then text by letters."""
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")
