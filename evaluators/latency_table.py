"""A device's latencies as a table: blocks that were timed, a model for those that were not, and how they add up; it times nothing.

The latency of a network is slope · Σ blocks + offset: alone, a block finds its weights in the cache, and slope and offset, fitted to
whole networks, say what that hides. Blocks that were not timed are predicted by a Gaussian process over the logarithms of their
`features`: what they do and what they are. On the space `pix` what they do alone predicts a block within 10 %, both within 2 %.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture

FORMAT = 2
Array = NDArray[np.float64]
Features = Mapping[str, float]


@dataclass(frozen=True)
class BlockModel:
    """A Gaussian process over `names`, as plain arrays: the mean prediction is exp(k(x, points)·weights · deviation + mean)."""

    names: list[str]
    centre: list[float]
    scale: list[float]
    length: float
    variance: float
    points: list[list[float]]
    weights: list[float]
    mean: float
    deviation: float

    @classmethod
    def fit(cls, blocks: Sequence[Features], milliseconds: Array) -> BlockModel:
        """Fitted to the features of timed blocks and their milliseconds (n,)."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        names = sorted({name for block in blocks for name in block})
        logs = _logs(blocks, names)
        centre, scale = logs.mean(axis=0), logs.std(axis=0) + 1e-6
        # One length for all: a length of each costs minutes and predicts no better.
        kernel = ConstantKernel(1.0) * RBF(2.0, (0.1, 100.0)) + WhiteKernel(0.01, (1e-5, 1.0))
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            process.fit((logs - centre) / scale, np.log(milliseconds))
        product = process.kernel_.k1
        return cls(
            names=names,
            centre=centre.tolist(),
            scale=scale.tolist(),
            length=float(product.k2.length_scale),
            variance=float(product.k1.constant_value),
            points=process.X_train_.tolist(),
            weights=process.alpha_.tolist(),
            mean=float(process._y_train_mean),
            deviation=float(process._y_train_std),
        )

    def predict(self, blocks: Sequence[Features]) -> Array:
        """Milliseconds (n,) of blocks by their features."""
        at = (_logs(blocks, self.names) - np.array(self.centre)) / np.array(self.scale)
        gaps = (at[:, None] - np.array(self.points)[None]) / self.length
        kernel = self.variance * np.exp(-0.5 * (gaps**2).sum(axis=2))
        milliseconds: Array = np.exp(kernel @ np.array(self.weights) * self.deviation + self.mean)
        return milliseconds


@dataclass(frozen=True)
class LatencyTable:
    """What `nas.latency` writes. `entries` are milliseconds by block, `about` says of which device, space, input and versions."""

    name: str
    about: Mapping[str, Any]
    entries: Mapping[str, float]
    model: BlockModel
    slope: float = 1.0
    offset_ms: float = 0.0
    check: Mapping[str, Any] = field(default_factory=dict)
    _known: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def latency_ms(self, architecture: Architecture) -> float:
        """Milliseconds of one forward pass of a network on the table's device.

        Raises:
            ValueError: the architecture cannot be built.
        """
        return max(1e-6, self.slope * sum(self.blocks_ms(architecture)) + self.offset_ms)

    def blocks_ms(self, architecture: Architecture) -> list[float]:
        """Milliseconds of stem, blocks and head, each alone: timed, or predicted where it was not."""
        from search_spaces.network import cost_parts

        found = []
        for key, build, shape in cost_parts(architecture):
            text = text_of(key)
            if text not in self._known:
                if text in self.entries:
                    self._known[text] = self.entries[text]
                else:
                    self._known[text] = float(self.model.predict([features(key, build, shape)])[0])
            found.append(self._known[text])
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data; `read_latency_table` reads it back."""
        data = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return {"format": FORMAT, **data, "model": asdict(self.model)}


def read_latency_table(path: str | Path) -> LatencyTable:
    """A table from its file.

    Raises:
        ValueError: the file is missing, no latency table, or of another format.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(
                f"{str(path)!r} is a latency table of format {data['format']!r}, and format {FORMAT} is read: build it anew"
            )
        fields = {name: data[name] for name in ("name", "about", "entries", "slope", "offset_ms", "check")}
        table = LatencyTable(model=BlockModel(**data["model"]), **fields)
        space, image = table.about["space"], table.about["input"]
        numbers = [*table.entries.values(), table.slope, table.offset_ms]
        if not (
            isinstance(space, str) and isinstance(image, dict) and np.isfinite(np.array(numbers, dtype=float)).all()
        ):
            raise ValueError("it holds something else than names and numbers")
        return table
    except FileNotFoundError:
        raise ValueError(f"there is no latency table at {str(path)!r}: build it with python -m nas.latency") from None
    except (OSError, KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{str(path)!r} is no latency table ({type(error).__name__}: {error}): build it with python -m nas.latency"
        ) from None


def features(key: object, build: Callable[[], Any], shape: tuple[int, ...]) -> dict[str, float]:
    """What a part of `cost_parts` does, its `traffic`, and what it is: the numbers in its key by name, its words as 1."""
    from evaluators.traffic import traffic

    return {**traffic(build, shape), **_leaves(_plain(key), "key")}


def _leaves(value: object, name: str) -> dict[str, float]:
    if isinstance(value, str):
        return {f"{name}={value}": 1.0}
    if isinstance(value, int | float):
        return {name: float(value)}
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        options = all(isinstance(part, list) and len(part) == 2 and isinstance(part[0], str) for part in value)
        pairs = value if options else list(enumerate(value))
    else:
        return {}
    return {leaf: number for part, inner in pairs for leaf, number in _leaves(inner, f"{name}.{part}").items()}


def _logs(blocks: Sequence[Features], names: Sequence[str]) -> Array:
    rows = np.array([[block.get(name, 0.0) for name in names] for block in blocks])
    logs: Array = np.sign(rows) * np.log1p(np.abs(rows))
    return logs


def text_of(key: object) -> str:
    """A key of `cost_parts` as canonical text: equal keys, and only those, give equal texts."""
    return json.dumps(_plain(key), sort_keys=True, separators=(",", ":"))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(part) for name, part in vars(value).items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value


def calibrate(sums: Array, whole: Array) -> tuple[float, float]:
    """Slope and offset of whole networks over the sums of their blocks, by least relative squares; the odd ones out are left out.

    Shapes (n,), (n,), in milliseconds.
    """
    design = np.stack([sums, np.ones(len(sums))], axis=1) / whole[:, None]
    kept = np.ones(len(sums), dtype=bool)
    for _ in range(3):
        solution = np.linalg.lstsq(design[kept], np.ones(kept.sum()), rcond=None)[0]
        residuals = np.abs(design @ solution - 1)
        kept = residuals <= 4 * np.median(residuals) + 1e-9
    return float(solution[0]), float(solution[1])
