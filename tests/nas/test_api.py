"""The Python API as the README shows it, and that the module and the function of one name live together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.api import Run
from nas.errors import UserError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    from nas import search

    found: Run = search(
        space="pix",
        budget=3,
        epochs=1,
        backend="in_process",
        algorithm="random",
        limit="macs<=600k",
        out=tmp_path_factory.mktemp("runs") / "run",
    )
    return found


def test_a_run_shows_its_front_and_study(run: Run) -> None:
    table = run.front()
    assert {"number", "key", "accuracy", "macs", "params", "architecture"} <= set(table.columns)
    assert len(run.members()) == 3 >= len(table) >= 1
    assert len(run.study.trials) == 3
    assert run.archive.recipe["epochs"] == 1


def test_a_pick_is_a_network_that_can_be_taken_away(run: Run, tmp_path: Path) -> None:
    import torch

    from nas import load, open_run

    picked = open_run(run.path).pick("best:macs")
    network = picked.network()
    size = picked.architecture.resolution
    images = torch.randn(2, 1, size, size)
    card = picked.export(tmp_path / "out")
    assert card["key"] == picked.key and "best macs" in picked.reason
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "out")(images), network(images))
    assert sum(p.numel() for p in network.parameters()) == picked.scores["params"]
    with pytest.raises(UserError, match="exists: choose another"):
        picked.export(tmp_path / "out")


def test_a_run_goes_on(run: Run, tmp_path: Path) -> None:
    import shutil

    from nas import search

    shutil.copytree(run.path, tmp_path / "copy")
    assert len(search(resume=tmp_path / "copy", budget=4).members()) == 4


def test_mistakes_are_user_errors(tmp_path: Path) -> None:
    from nas import load, open_run, search

    with pytest.raises(UserError, match="did you mean 'budget'"):
        search(budgett=3)
    with pytest.raises(UserError, match="there is no run"):
        open_run(tmp_path / "none")
    with pytest.raises(UserError, match="is no export"):
        load(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        "from nas import search",
        "import nas.search; from nas import search",
        "from nas import search; import nas.search; from nas import search",
        "import nas; search = nas.search if hasattr(nas, 'search') else __import__('nas.search').search",
        "from nas.search import main; from nas import search",
    ],
)
def test_search_is_module_and_function_in_any_order(lines: str) -> None:
    code = f"{lines}\nfrom nas import open_run, load\nassert callable(search) and search.main\nimport sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
