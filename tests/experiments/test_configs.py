"""Every configuration in experiments/ resolves to a search, and its notebook runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.config import SearchConfig
from nas.options import resolve
from search_spaces.catalogue import SPACES

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "experiments").glob("*.toml"))


def test_the_four_spaces_have_one() -> None:
    assert {"pix", "shuffle", "mux", "mixed"} <= {path.stem.removeprefix("cifar10-") for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_resolves(path: Path) -> None:
    from evaluators.objective import OBJECTIVES
    from nas.plan import parse_objectives

    config = resolve(SearchConfig, {}, config=str(path))
    space = SPACES[config.space](channels=3, resolution=32, classes=10)
    assert config.space in path.stem and space.size > 1e6
    assert parse_objectives(config.objectives, OBJECTIVES)[0].name == "accuracy"
    assert f"--config experiments/{path.name}" in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_runs(path: Path, tmp_path: Path) -> None:
    """Cell after cell in one process; `test_replaces` in the metadata of a cell says what the test runs in place of what it shows."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    sources = []
    for cell in cells:
        source = "".join(cell["source"])
        for old, new in cell["metadata"].get("test_replaces", {}).items():
            assert old in source
            source = source.replace(old, new)
        sources.append(source)
    file = tmp_path / "notebook.py"
    file.write_text("\n\n".join(sources), encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}

    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
