"""Lets the suites import `algorithm_toys`, whatever pytest's import mode is."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from algorithm_toys import Run, toy_problem  # noqa: E402


@pytest.fixture
def run() -> Callable[..., Run]:
    """`run()` of the toy problem; `run(space, objectives=..., limits=...)` of another one."""
    return lambda *args, **options: Run(toy_problem(*args, **options))
