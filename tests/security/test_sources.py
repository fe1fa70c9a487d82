"""What the sources may not do: load a pickle, run what a file says, or join a path that a file named."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [file for package in ("nas", "evaluators", "search_spaces") for file in (ROOT / package).rglob("*.py")]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# The one reader of a data set that its publisher made of pickles; see `test_the_reader_of_pickles_resolves_names_itself`.
READS_PICKLES = ROOT / "evaluators" / "training" / "cifar.py"
FORBIDDEN_CALLS = {"eval", "exec", "read_pickle", "unsafe_load", "full_load", "extractall"}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found.append((name, node))
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_pickle_and_no_code_from_files(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        allowed_here = {"pickle"} if file == READS_PICKLES else set()
        assert not {name.split(".")[0] for name in names} & (FORBIDDEN_MODULES - allowed_here)
    for name, call in calls(tree):
        if isinstance(call.func, ast.Name) or name in FORBIDDEN_CALLS - {"eval"}:
            assert name not in FORBIDDEN_CALLS, f"line {call.lineno}"
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if name == "load" and isinstance(owner, ast.Name) and owner.id in {"torch", "np", "numpy", "yaml"}:
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            safe = given.get("weights_only")
            assert owner.id != "torch" or (isinstance(safe, ast.Constant) and safe.value is True), f"line {call.lineno}"
            allowed = given.get("allow_pickle")
            assert allowed is None or (isinstance(allowed, ast.Constant) and allowed.value is False)
            assert owner.id != "yaml"
        if name in {"run", "Popen", "call", "check_output"}:
            assert not any(k.arg == "shell" for k in call.keywords), f"line {call.lineno}"


def test_the_reader_of_pickles_resolves_names_itself() -> None:
    """It uses of `pickle` the base class alone, overrides what looks names up, and never asks the base class for one."""
    tree = ast.parse(READS_PICKLES.read_text(encoding="utf-8"))
    uses = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "pickle"}
    assert uses == {"Unpickler", "UnpicklingError"}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    readers = [node for node in classes if any(isinstance(base, ast.Attribute) for base in node.bases)]
    assert [[m.name for m in node.body if isinstance(m, ast.FunctionDef)] for node in readers] == [["find_class"]]
    assert not any(isinstance(node, ast.Name) and node.id in {"super", "getattr"} for node in ast.walk(tree))
    assert not any(name in {"import_module", "__import__"} for name, _ in calls(tree))
