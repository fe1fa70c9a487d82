"""Every space by name; a factory takes `channels`, `resolution` and `classes` of the data set. No torch."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.architecture import Architecture
from search_spaces.gated import gated
from search_spaces.mixed import mixed
from search_spaces.mux import mux
from search_spaces.pix import pix
from search_spaces.shuffle import shuffle
from search_spaces.space import Space

SPACES: dict[str, Callable[..., Space[Architecture]]] = {
    "pix": pix,
    "shuffle": shuffle,
    "mux": mux,
    "mixed": mixed,
    "gated": gated,
}
