"""Which data set is wanted and where it may lie; it knows no reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Request:
    """A data set's name, the folder in which it lies or to which it is fetched, and what may be done about what is amiss."""

    name: str
    root: Path
    download: bool = False
    skip_broken: bool = False
    seed: int = 0
