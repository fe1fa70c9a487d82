"""The borders of the house: what imports what, and how fast a command answers."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STOREYS = ("search_spaces", "evaluators", "nas")  # from the ground up: arrows run down only
DOORS = {
    "ray": {"nas/workers/on_ray.py", "nas/training/on_tune.py"},  # its actors, and Tune
    "pymoo": {"nas/algorithms", "nas/benchmarks"},
    "moocore": {"nas/pareto.py", "nas/algorithms"},
    "optuna": {"nas/archive.py", "nas/storage.py", "nas/algorithms", "nas/benchmarks"},
    "matplotlib": {"nas/report/picture.py", "nas/benchmarks"},
    "plotly": {"nas/report"},
}
COMMANDS = sorted(
    file.stem for file in (ROOT / "nas").glob("*.py") if 'if __name__ == "__main__"' in file.read_text(encoding="utf-8")
)


def sources() -> list[Path]:
    return [file for storey in STOREYS for file in (ROOT / storey).rglob("*.py")]


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("file", sources(), ids=lambda f: str(f.relative_to(ROOT)))
def test_arrows_run_down_only(file: Path) -> None:
    storey = file.relative_to(ROOT).parts[0]
    above = set(STOREYS[STOREYS.index(storey) + 1 :]) | {"experiments", "tests"}
    assert not imported(file) & above


@pytest.mark.parametrize("library", DOORS)
def test_one_door_for_each_foreign_library(library: str) -> None:
    through = {str(f.relative_to(ROOT)) for f in sources() if library in imported(f)}
    assert all(any(name.startswith(door) for door in DOORS[library]) for name in through), through


def test_an_init_holds_one_docstring() -> None:
    for file in sources():
        if file.name == "__init__.py":
            docstring, *rest = ast.parse(file.read_text(encoding="utf-8")).body
            assert isinstance(docstring, ast.Expr), file
            if file == ROOT / "nas" / "__init__.py":  # the one door to the Python API, opened when it is used
                (door,) = rest
                assert isinstance(door, ast.FunctionDef) and door.name == "__getattr__"
            else:
                assert not rest, file


def test_the_loop_has_no_library_of_its_own() -> None:
    assert imported(ROOT / "nas" / "loop.py") <= {
        "__future__",
        "hashlib",
        "time",
        "collections",
        "dataclasses",
        "typing",
        "evaluators",
        "nas",
    }


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize(
    "module",
    ["search_spaces.space", "search_spaces.architecture", "search_spaces.catalogue", "nas.problem", "nas.config"],
)
def test_spaces_and_architectures_import_no_torch(module: str) -> None:
    heavy = run_python(
        f"import sys, {module}; print([m for m in ('torch', 'optuna', 'ray', 'pymoo', 'sklearn') if m in sys.modules])"
    )
    assert heavy.strip() == "[]"


def test_a_front_is_read_without_torch(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x_0,accuracy,macs\n0,0.5,1\n1,0.6,2\n2,0.7,3\n3,0.8,4\n")
    run = tmp_path / "run"
    search = [
        sys.executable,
        "-m",
        "nas.search",
        "--space",
        f"table:{table}",
        "--budget",
        "3",
        "--backend",
        "in_process",
    ]
    subprocess.run([*search, "--out", str(run)], check=True, capture_output=True, cwd=ROOT)
    code = f"import sys; from nas import front; front.main([{str(run)!r}, '--html', {str(tmp_path / 'f.html')!r}]); print('torch' in sys.modules)"
    assert run_python(code).splitlines()[-1] == "False"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_at_once_with_examples(command: str) -> None:
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", f"nas.{command}", "--help"], capture_output=True, text=True, check=False, cwd=ROOT
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Seconds of the processor: on a machine that others use, those of the clock say what the others do.
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0
        assert f"python -m nas.{command}" in done.stdout.split("example")[-1]
    assert min(times) < 0.5
