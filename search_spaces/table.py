"""The tabular space: a CSV that lists every architecture of a benchmark with its measured metrics; it knows no search.

Columns `x_*` are genes (small integers), the others metrics; `accuracy_0`, `accuracy_1`, … are the seeds of `accuracy`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import key_of
from search_spaces.space import Choice, Genotype, Option, Space

GENE_PREFIX = "x_"
MOST_OPTIONS = 64


@dataclass(frozen=True)
class TableArchitecture:
    """A row of a table: the table's name and its genes by column."""

    table: str
    genes: tuple[tuple[str, Option], ...]

    @property
    def key(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return key_of(self.to_json())

    def to_json(self) -> dict[str, object]:
        """The table's name and the genes by column."""
        return {"table": self.table, "genes": dict(self.genes)}

    def __str__(self) -> str:
        return f"{self.table} {'-'.join(str(gene) for _, gene in self.genes)}"


@dataclass(frozen=True)
class Table:
    """A complete benchmark. Metrics (rows,) are in the lexicographic order of genotypes; a missing value is NaN."""

    name: str
    columns: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    metrics: Mapping[str, NDArray[np.float64]]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of options of each gene."""
        return tuple(map(len, self.options))

    def row(self, genotype: Genotype) -> int:
        """Where the metrics of a genotype stand."""
        row = 0
        for gene, size in zip(genotype, self.sizes, strict=True):
            row = row * size + gene
        return row

    def seeds(self, metric: str) -> tuple[str, ...]:
        """Columns that hold single seeds of a metric; the metric itself where it has none."""
        named = [name for name in self.metrics if name.startswith(metric + "_") and name[len(metric) + 1 :].isdigit()]
        return tuple(sorted(named, key=lambda name: int(name[len(metric) + 1 :]))) or (metric,)

    def space(self) -> Space[TableArchitecture]:
        """The space whose genotypes are the rows."""

        def decode(values: Mapping[str, Option]) -> TableArchitecture:
            return TableArchitecture(self.name, tuple(values.items()))

        choices = tuple(Choice(column, options) for column, options in zip(self.columns, self.options, strict=True))
        return Space(f"table:{self.name}", choices, decode)


def read_table(path: str | Path) -> Table:
    """Reads a CSV that lists every combination of its genes' options exactly once.

    Columns that hold text are left out; empty cells are NaN.

    Raises:
        ValueError: the file cannot be read, a gene is no small integer, or rows are missing or listed twice.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"a table must be a readable CSV file, got {str(path)!r}: it is a folder or a device")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"a table must be a readable CSV file, got {str(path)!r}: {error}") from error
    except ValueError:
        raise ValueError(f"a table must have a header and rows, got the empty file {str(path)!r}") from None
    header = [name.strip() for name in header]
    if len(set(header)) != len(header):
        raise ValueError(f"the columns of {path.name} must have distinct names: rename one")
    ragged = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
    if ragged is not None:
        raise ValueError(
            f"every row of {path.name} needs {len(header)} cells, row {ragged + 2} has {len(rows[ragged])}"
        )
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    genes = [name for name in header if name.startswith(GENE_PREFIX)]
    if not genes or not rows:
        raise ValueError(f"{path.name} needs rows and gene columns named {GENE_PREFIX}*, got {', '.join(header)[:80]}")
    values = np.array([_integers(columns[name], name, path.name) for name in genes], dtype=np.int64)
    options, order = _order(values, path.name)
    metrics = {name: _numbers(columns[name]) for name in header if name not in genes}
    return Table(
        path.stem,
        tuple(genes),
        options,
        {name: numbers[order] for name, numbers in metrics.items() if numbers is not None},
    )


def _order(values: NDArray[np.int64], name: str) -> tuple[tuple[tuple[int, ...], ...], NDArray[np.int64]]:
    """Options of each gene, and the rows' lexicographic order; checks that every combination is there once."""
    found = [np.unique(column, return_inverse=True) for column in values]
    options = tuple(tuple(distinct.tolist()) for distinct, _ in found)
    whole, rows = prod(map(len, options)), values.shape[1]
    if whole == rows:
        place = np.ravel_multi_index([inverse for _, inverse in found], [len(option) for option in options])
        if len(np.unique(place)) == rows:
            return options, np.argsort(place)
    distinct_rows = len(np.unique(values, axis=1).T)
    fault = f"{rows - distinct_rows} are listed twice" if distinct_rows < rows else f"{whole - rows} are missing"
    raise ValueError(
        f"{name} must list each of the {whole} combinations of its genes once, {fault}: complete the table"
    )


def _integers(cells: Sequence[str], name: str, table: str) -> list[int]:
    parsed = _numbers(cells)
    if parsed is None or not np.isfinite(parsed).all() or (parsed != np.round(parsed)).any():
        odd = next((cell for cell in cells if not cell.strip().lstrip("+-").isdigit()), "")
        raise ValueError(f"gene {name} of {table} must hold integers, got {odd[:40]!r}")
    numbers = [int(number) for number in parsed]
    if len(set(numbers)) > MOST_OPTIONS or max(map(abs, numbers)) > 1_000_000:
        raise ValueError(f"gene {name} of {table} must hold at most {MOST_OPTIONS} distinct small integers")
    return numbers


def _numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return None
